"""Pumps, endpoints and turns for the tests of alerts in the database, and what then stands there."""

from uuid import UUID

import asyncpg

from service.core.alert import AlertEvent
from service.core.change import Change, Condition
from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore
from tests.episodes import at

STALL, UNDER = Condition.STALL, Condition.UNDER_DELIVERY
STORE = AlertStore(DEFAULT_RULEBOOK)


async def a_pump(connection: asyncpg.Connection, pump_id: str = "p1", *, simulated: bool = False) -> int:
    return await connection.fetchval(
        "INSERT INTO pump (pump_id, drug_class, concentration_ug_ml, simulated) VALUES ($1, 'baclofen', 20.3, $2) "
        "RETURNING pump",
        pump_id,
        simulated,
    )


async def an_endpoint(connection: asyncpg.Connection, name: str = "clinic", *, accepts_simulated: bool = False) -> UUID:
    return await connection.fetchval(
        "INSERT INTO endpoint (name, url, secret, accepts_simulated) VALUES ($1, 'https://x.example', 's', $2) "
        "RETURNING id",
        name,
        accepts_simulated,
    )


async def apply(connection: asyncpg.Connection, *changes: Change, minute: float = 100) -> list[AlertEvent]:
    async with connection.transaction():
        return [written.event for written in await STORE.apply(connection, changes, at(minute))]


async def alerts(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM alert ORDER BY pump, condition, detected_position")


async def outbox(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    rows = await connection.fetch(
        "SELECT n.kind, n.state FROM notification n JOIN endpoint e ON e.id = n.endpoint ORDER BY n.number, e.name"
    )
    return [(row["kind"], row["state"]) for row in rows]


async def try_to_deliver(connection: asyncpg.Connection, endpoint: UUID) -> None:
    await connection.execute("UPDATE notification SET attempts = attempts + 1 WHERE endpoint = $1", endpoint)


async def everything(connection: asyncpg.Connection) -> list[list[asyncpg.Record]]:
    return [
        await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("alert", "alert_history", "notification")
    ]
