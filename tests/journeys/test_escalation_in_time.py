"""From a reading to the next endpoint, when the first one is dead: by real roles, over a real broker."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import asyncpg
import msgspec
import numpy as np
import pytest

from service.core.roster import FORMS
from service.postgres import rosters
from tests.benchmarks.processes import ROOT
from tests.benchmarks.roles import running
from tests.patience import until_true
from tests.webhooks.endpoint import Conduct, Endpoint, Request, answers, never_answers
from tests.webhooks.rows import Rows, now

POLICY = {
    "name": "ward",
    # By the clock the second step is an hour away: it is told sooner only because the first was not reached.
    "steps": [{"after_s": 0, "targets": ["endpoint:dead"]}, {"after_s": 3600, "targets": ["endpoint:next"]}],
}
MEASURED = ROOT / "docs" / "measurements" / "escalation.json"
DEAD: dict[str, Conduct] = {"answers 503": answers(503), "never answers": never_answers}


async def test_when_the_first_endpoint_is_dead_the_next_is_told_without_waiting_for_its_step(
    postgres_url: str, nats_url: str, tmp_path: Path
) -> None:
    async with ward(postgres_url, nats_url, tmp_path, DEAD["answers 503"]) as (dead, following):
        await send(nats_url, "dead1", 1)
        await until_true(lambda: escalated(following), "the next endpoint to be told", 120)
    assert {request.verified for request in following.requests} == {True}
    assert "alert.activated" in {request.body["type"] for request in dead.requests}


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", DEAD)
async def test_how_long_it_takes_until_the_next_endpoint_is_asked(
    postgres_url: str, nats_url: str, tmp_path: Path, way: str
) -> None:
    """Each alert waits for the one before, so that the first of them meets an endpoint that nobody knows to be dead."""
    alerts, took_s = 10, []
    async with ward(postgres_url, nats_url, tmp_path, DEAD[way]) as (_, following):
        for number in range(alerts):
            sent_at = await send(nats_url, f"{way.replace(' ', '-')}-{number}", 1)
            await until_true(lambda goal=number: len(escalated(following)) > goal, "the next endpoint", 120)
            took_s.append(following.first_at[escalated(following)[number].id] - sent_at)
    found = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    found[way] = {
        "alerts": alerts,
        "from": "reading published",
        "to": "request at the endpoint of the next step, an hour before that step's time",
        "first_s": round(took_s[0], 2),
        "median_s": round(float(np.median(took_s)), 2),
        "longest_s": round(max(took_s), 2),
    }
    MEASURED.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


class Following(Endpoint):
    """Notes when each notification came."""

    def __init__(self) -> None:
        super().__init__()
        self.first_at: dict[str, float] = {}
        self.conduct_of = self._noted

    def _noted(self, request: Request) -> Conduct:
        self.first_at.setdefault(request.id, time.monotonic())
        return answers(204)


def escalated(endpoint: Endpoint) -> list[Request]:
    """Without those about the service itself: that a policy reaches nobody may be one."""
    return [
        each for each in endpoint.requests if each.body["type"] == "alert.escalated" and each.body["data"]["pump_id"]
    ]


@asynccontextmanager
async def ward(
    database_url: str, broker_url: str, directory: Path, conduct: Conduct
) -> AsyncIterator[tuple[Endpoint, Following]]:
    """The roles from the broker to the endpoints, and a policy whose first step is a dead one."""

    def answer(_: Request) -> Conduct:
        return conduct

    async with Endpoint() as dead, Following() as following:
        dead.conduct_of = answer
        async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
            rows = Rows(pool)
            await rows.an_endpoint(dead, name="dead", accepts_simulated=True)
            await rows.an_endpoint(following, name="next", accepts_simulated=True)
            async with pool.acquire() as connection, connection.transaction():
                for kind, name, document in (
                    ("policy", "ward", POLICY),
                    ("rules", "rules", {"rules": [{"policy": "ward", "priority": "high"}]}),
                ):
                    form = msgspec.convert(document, FORMS[kind])
                    await rosters.put(connection, kind, name, form, "ada", now())
        async with (
            running("ingest", directory, database_url, broker_url),
            running("watch", directory, database_url, broker_url),
            running("deliver", directory, database_url, broker_url),
        ):
            yield dead, following


async def send(broker_url: str, pump_id: str, boot: int) -> float:
    """A full reservoir and, a minute later, an almost empty one, which is urgent; when the second was sent."""
    at = urlsplit(broker_url)
    async with aiomqtt.Client(at.hostname or "", at.port or 1883, identifier=f"tests-{pump_id}") as client:
        topic = f"pumps/v1/{pump_id}/telemetry"
        await client.publish(topic, _reading(boot, 0, reservoir_ml=18.0), qos=1)
        sent_at = time.monotonic()
        await client.publish(topic, _reading(boot, 1, reservoir_ml=0.2), qos=1)
    return sent_at


def _reading(boot: int, seq: int, *, reservoir_ml: float) -> bytes:
    time_ms = int(time.time() * 1000) - (60_000 if seq == 0 else 0)
    told = {"boot": boot, "seq": seq, "held_from": [boot, 0], "simulated": True, "time_ms": [time_ms]}
    values = {"program_ml_d": [0.5], "flow_ml_d": [0.5], "reservoir_ml": [reservoir_ml], "battery_v": [2.9]}
    return json.dumps(told | values | {"mode": ["running"]}).encode()
