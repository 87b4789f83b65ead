"""The canary's own endpoint believes what this service has signed, and nothing else."""

from datetime import timedelta
from uuid import uuid4

import httpx
import msgspec

from service.core.webhook import headers
from service.postgres.canary_rounds import secret_of, set_up
from tests.api.ward import Ward, problem
from tests.keys import VAULT

BODY = msgspec.json.encode(
    {"type": "alert.activated", "timestamp": "2026-11-22T20:30:00Z", "data": {"alert_id": str(uuid4())}}
)
OTHER = "whsec_" + "A" * 32


async def post(ward: Ward, secret: str, body: bytes = BODY, age_s: float = 0) -> httpx.Response:
    signed = headers("msg_1", ward.clock.now - timedelta(seconds=age_s), body, [secret])
    return await ward.client.post("/hooks/canary", content=body, headers=signed | {"content-type": "application/json"})


async def test_only_what_is_signed_by_us_and_of_late_is_taken(ward: Ward) -> None:
    assert problem(await post(ward, OTHER), 401), "there is no canary yet"
    for _ in range(2):
        url = f"{ward.url}/hooks/canary"
        await set_up(ward.database, VAULT, url, every=timedelta(seconds=300), within=timedelta(seconds=60))
    secret = await secret_of(ward.database, VAULT)
    assert secret is not None
    assert (await post(ward, secret)).status_code == 204, "of an alert that there is not: nothing follows from it"
    assert problem(await post(ward, OTHER), 401)
    assert problem(await post(ward, secret, age_s=301), 401)
    assert problem(await post(ward, secret, body=b"[]"), 422)
    unsigned = await ward.client.post("/hooks/canary", content=BODY, headers={"content-type": "application/json"})
    assert problem(unsigned, 401)
    assert await ward.database.fetchval("SELECT count(*) FROM endpoint WHERE canary") == 1


async def test_a_canary_that_is_ended_is_not_missed(ward: Ward) -> None:
    await set_up(ward.database, VAULT, ward.url, every=timedelta(seconds=1), within=timedelta(seconds=1))
    await ward.rows("UPDATE canary SET asked_at = $1", ward.clock.now - timedelta(hours=1))
    assert any("canary" in reason for reason in (await ward.client.get("/ready")).json()["reasons"])
    await set_up(ward.database, VAULT, ward.url, every=timedelta(0), within=timedelta(seconds=1))
    assert not any("canary" in reason for reason in (await ward.client.get("/ready")).json()["reasons"])
    assert await ward.database.fetchval("SELECT in_service FROM pump WHERE pump_id = 'pumpwatch-canary'") is False
