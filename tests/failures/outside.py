"""The whole service on servers of the test's own, with its patience cut to seconds, and who hears of its troubles."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from service.embedded.nats import NatsServer
from service.postgres.endpoints import add_endpoint
from service.postgres.migrate import migrate
from tests.failures.broker import unsettled
from tests.keys import KEY, VAULT
from tests.loops.driven import telemetry
from tests.mqtt.publisher import publish
from tests.patience import until_found, until_true
from tests.test_supervise import Up, up
from tests.webhooks.endpoint import Endpoint

AFTER_S = 2
_STATES = """
    SELECT state FROM alert WHERE condition = $1 ORDER BY raised_at DESC LIMIT 1
"""


@dataclass
class Outside:
    service: Up
    database_url: str
    broker: NatsServer
    direct: Endpoint
    """Who is told without the database."""
    clinic: Endpoint
    """Who is told of alerts."""
    sent: int = 0

    async def send(self, readings: int, *, a_message: int = 1) -> None:
        """Readings of one pump, as many a message as that."""
        messages = [
            (b"pumps/v1/outage/telemetry", msgspec.json.encode(telemetry(seq, [1.0] * a_message)))
            for seq in range(self.sent, self.sent + readings, a_message)
        ]
        self.sent += readings
        await publish(self.broker.mqtt_url, messages)

    async def send_fault(self) -> int:
        """The pump says that its battery has reset it; when, in ms of its clock."""
        at_ms = time.time_ns() // 1_000_000
        said = {"boot": 1, "seq": self.sent, "time_ms": at_ms, "type": "device_alarm_raised", "code": "battery_reset"}
        said |= {"held_from": [1, 0], "simulated": True}
        self.sent += 1
        await publish(self.broker.mqtt_url, [(b"pumps/v1/outage/event", msgspec.json.encode(said))])
        return at_ms

    async def until_settled(self) -> None:
        await until_true(lambda: unsettled(self.broker) == 0, "everything to be settled")

    async def until_told(self, kind: str, condition: str) -> dict[str, Any]:
        """What the direct line was told of a condition."""

        def found() -> dict[str, Any] | None:
            for request in self.direct.requests:
                if (request.body["type"], request.body["data"]["condition"]) == (f"alert.{kind}", condition):
                    assert request.verified
                    return request.body["data"]
            return None

        await until_true(lambda: found() is not None, f"{condition}, {kind}, told directly")
        told = found()
        assert told is not None
        return told

    async def until_alert(self, condition: str, state: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            await until_found(
                lambda: connection.fetchval(_STATES, condition),
                f"{condition} to be {state}",
                enough=lambda found: found == state,
            )
        finally:
            await connection.close()

    def forget(self) -> None:
        """Of what was told so far."""
        self.direct.requests.clear()
        self.clinic.requests.clear()

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    async def stored(self) -> int:
        sql = "SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM event) AS items"
        return (await self.fetch(sql))[0]["items"]


@asynccontextmanager
async def outside(
    database_url: str,
    broker: NatsServer,
    directory: Path,
    *,
    up_url: str = "",
    after_s: float = AFTER_S,
    **settings: str,
) -> AsyncIterator[Outside]:
    """The service ready, with a clinic; it may know the database by another address than we do."""
    await migrate(database_url)
    async with Endpoint() as direct, Endpoint() as clinic:
        connection = await asyncpg.connect(database_url)
        made = await add_endpoint(connection, VAULT, "clinic", clinic.url, "test", accepts_simulated=True)
        await connection.close()
        clinic.secret = made.secret
        settings |= {
            "PUMPWATCH_OUTAGE_URL": direct.url,
            "PUMPWATCH_OUTAGE_SECRET": direct.secret,
            "PUMPWATCH_OUTAGE_AFTER_S": str(after_s),
            "PUMPWATCH_SECRET_KEY": KEY,
        }
        async with up(up_url or database_url, broker.mqtt_url, directory, **settings) as service:
            await service.line("ready")
            yield Outside(service, database_url, broker, direct, clinic)
            assert "Traceback" not in service.log
            assert len(service.everybody()) == len(ROLES), "nobody had to be started again"


ROLES = ("ingest", "watch", "deliver", "api")
