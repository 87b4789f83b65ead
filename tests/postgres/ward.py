"""A ward for the tests of escalation: endpoints, contacts and policies in a database, and time that a test turns on."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from service.core.change import Change
from service.core.roster import FORMS
from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres import escalations, rosters
from service.postgres.alerts import AlertStore
from tests.episodes import at

STORE = AlertStore(DEFAULT_RULEBOOK)
WARD = {
    "name": "ward",
    "steps": [
        {"after_s": 0, "targets": ["endpoint:desk"]},
        {"after_s": 300, "targets": ["contact:ada"]},
        {"after_s": 900, "targets": ["endpoint:head"]},
    ],
    "repeat_after_s": 600,
}


class Ward:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.endpoints: dict[str, UUID] = {}

    async def endpoint(self, *names: str) -> None:
        for name in names:
            self.endpoints[name] = await self.connection.fetchval(
                "INSERT INTO endpoint (name, url, secret) VALUES ($1, 'https://x.example', 's') RETURNING id", name
            )

    async def pump(self, pump_id: str = "p1") -> int:
        return await self.connection.fetchval(
            "INSERT INTO pump (pump_id, drug_class, registered) VALUES ($1, 'baclofen', true) RETURNING pump", pump_id
        )

    async def put(self, kind: str, name: str, document: dict[str, Any] | None) -> None:
        form = None if document is None else msgspec.convert(document, FORMS[kind])
        async with self.connection.transaction():
            await rosters.put(self.connection, kind, name, form, "ada", at(0))

    async def policy(self, **changes: Any) -> None:
        """The usual ward: three endpoints, one of them a person's, and one policy for all alerts."""
        await self.endpoint("desk", "ada's phone", "head", "elsewhere")
        await self.put("contact", "ada", {"name": "ada", "endpoints": ["ada's phone"]})
        await self.put("policy", "ward", WARD | changes)
        await self.put("rules", "rules", {"rules": [{"policy": "ward"}]})

    async def apply(self, *changes: Change, minute: float) -> None:
        async with self.connection.transaction():
            await STORE.apply(self.connection, changes, at(minute))

    async def look(self, minute: float, seconds: float = 0) -> list[str]:
        """Let the watch look, and return what became of which alert."""
        written = await escalations.look_once(self.connection, STORE, at(minute + seconds / 60))
        return [str(each.event) for each in written]

    async def told(self, after: datetime | None = None) -> list[str]:
        """What the endpoints were to be told, in order: `kind endpoint`."""
        rows = await self.connection.fetch(
            "SELECT n.kind || ' ' || e.name AS told FROM notification n JOIN endpoint e ON e.id = n.endpoint "
            "WHERE n.created_at >= $1 AND n.state <> 'collapsed' ORDER BY n.created_at, n.number, e.name",
            after or at(0),
        )
        return [row["told"] for row in rows]

    async def arrives(self, *names: str) -> None:
        """Everything that waits for these endpoints (for all, if none is named) arrives."""
        await self.connection.execute(
            "UPDATE notification SET state = 'delivered', attempts = attempts + 1, settled_at = now() "
            "WHERE state = 'pending' AND endpoint = ANY ($1)",
            [self.endpoints[name] for name in names or self.endpoints],
        )

    async def arrives_if_due(self, minute: float) -> None:
        await self.connection.execute(
            "UPDATE notification SET state = 'delivered', attempts = 1 WHERE state = 'pending' AND due_at <= $1",
            at(minute),
        )

    async def have_just_become_due(self) -> None:
        """An undelivered page is one by the database's own clock, which no test turns on."""
        await self.connection.execute(
            "UPDATE notification SET due_at = clock_timestamp() WHERE state = 'pending' AND failures = 0"
        )

    async def alert(self) -> asyncpg.Record:
        return await self.connection.fetchrow("SELECT * FROM alert ORDER BY raised_at LIMIT 1")

    async def history(self) -> list[str]:
        rows = await self.connection.fetch("SELECT event FROM alert_history ORDER BY at, alert_id, number")
        return [row["event"] for row in rows]
