"""The clinic believes what is signed, acts once, keeps all it was sent, and fails when it is told to."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from simulators.clinic import Behaviour, Clinic, check_secret, recording, serve
from tests.servers import eventually

SECRET = "whsec_" + base64.b64encode(b"a secret of the clinic, 32 bytes").decode()
NEW_SECRET = "whsec_" + base64.b64encode(b"another one, while it is rotated").decode()
BODY = b'{"type": "alert.activated", "data": {"alert_id": "1"}}'


@dataclass
class Open:
    client: httpx.AsyncClient
    clinic: Clinic

    async def post(self, body: bytes = BODY, **changes: Any) -> httpx.Response:
        return await self.client.post("/hook", content=body, headers=signed(body, **changes))


def signed(
    body: bytes,
    *,
    secret: str = SECRET,
    webhook_id: str = "msg_1",
    at: datetime | None = None,
    signature: str | None = None,
) -> dict[str, str]:
    at = at or datetime.now(tz=UTC)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature or Webhook(secret).sign(webhook_id, at, body.decode()),
    }


@contextlib.asynccontextmanager
async def opened(behaviour: Behaviour | None = None, record: Path | None = None) -> AsyncIterator[Open]:
    said: list[str] = []
    async with recording(record) as file:
        clinic = Clinic([SECRET, NEW_SECRET], behaviour or Behaviour(), record=file)
        serving = asyncio.create_task(serve(clinic, "127.0.0.1", 0, said.append))
        await eventually(lambda: bool(said))
        url = said[0].split()[-1].removesuffix("/hook")
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield Open(client, clinic)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def test_a_signed_webhook_is_believed_and_acted_on_once_however_often_it_comes(tmp_path: Path) -> None:
    async with opened(record=tmp_path / "received.ndjson") as clinic:
        answers = [await clinic.post(), await clinic.post(), await clinic.post(webhook_id="msg_2", secret=NEW_SECRET)]
        received = (await clinic.client.get("/received")).json()

    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert received["effects"] == 2
    assert [entry["first"] for entry in received["requests"]] == [True, False, True]
    assert all(entry["verified"] and entry["body"] == json.loads(BODY) for entry in received["requests"])
    written = [json.loads(line) for line in (tmp_path / "received.ndjson").read_text(encoding="utf-8").splitlines()]
    assert written == received["requests"]


async def test_what_is_not_signed_by_us_now_is_refused_and_kept() -> None:
    foreign = "whsec_" + base64.b64encode(b"somebody else's").decode()
    now = datetime.now(tz=UTC)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"secret": foreign}, "No matching signature"),
        ({"at": now - timedelta(minutes=6)}, "too old"),
        ({"at": now + timedelta(minutes=6)}, "too new"),
        ({"signature": "v1"}, "malformed"),
        ({"signature": "v1,abc"}, "malformed"),
        ({"signature": "v2,abcd"}, "No matching signature"),
    ]
    async with opened() as clinic:
        for changes, _ in bad:
            assert (await clinic.post(**changes)).status_code == 401
        assert (await clinic.client.post("/hook", content=BODY)).status_code == 401
        tampered = await clinic.client.post("/hook", content=BODY + b" ", headers=signed(BODY))
        binary = await clinic.client.post("/hook", content=b"\xff\xfe", headers=signed(BODY))
        requests = (await clinic.client.get("/received")).json()["requests"]

    assert (tampered.status_code, binary.status_code) == (401, 401)
    for entry, (_, problem) in zip(requests, bad, strict=False):
        assert problem in entry["problem"]
    assert not any(entry["verified"] or entry["first"] for entry in requests)
    assert len(requests) == len(bad) + 3


async def test_it_fails_when_told_to_and_acts_only_when_it_does_not() -> None:
    async with opened(Behaviour(fail_rate=1.0, status=503)) as clinic:
        refused = await clinic.post()
        changed = await clinic.client.put("/behaviour", json={"fail_rate": 1.0, "status": 429, "retry_after_s": 2})
        throttled = await clinic.post()
        await clinic.client.put("/behaviour", json={})
        accepted = await clinic.post()

    assert (refused.status_code, throttled.status_code, accepted.status_code) == (503, 429, 204)
    assert throttled.headers["retry-after"] == "2"
    assert changed.json()["status"] == 429
    assert [entry.first for entry in clinic.clinic.requests] == [False, False, True]


async def test_who_gives_up_waiting_and_sends_again_makes_it_act_once() -> None:
    async with opened(Behaviour(delay_s=30)) as clinic:
        with pytest.raises(httpx.ReadTimeout):
            await clinic.client.post("/hook", content=BODY, headers=signed(BODY), timeout=0.2)
        await clinic.client.put("/behaviour", json={})
        assert (await clinic.post()).status_code == 204

    assert [entry.first for entry in clinic.clinic.requests] == [True, False]
    assert clinic.clinic.acted_on == {"msg_1"}


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        ({"fail_rate": 2}, "fail_rate"),
        ({"status": 42}, "status"),
        ({"delay_s": -1}, "delay_s"),
        ({"speed": 1}, "speed"),
    ],
)
async def test_a_behaviour_that_makes_no_sense_is_refused_by_name(behaviour: dict[str, Any], problem: str) -> None:
    async with opened() as clinic:
        answer = await clinic.client.put("/behaviour", json=behaviour)

    assert answer.status_code == 400
    assert problem in answer.json()["problem"]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***"])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    assert "not a secret" in check_secret(secret)
    assert check_secret(SECRET) == ""
