"""Rows that a test of delivery starts from: a pump, alerts, endpoints, notifications."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from service.carriage import Claimed
from tests.keys import VAULT
from tests.webhooks.endpoint import Endpoint

_numbers = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)


def a_claimed(url: str, secret: str) -> Claimed:
    return Claimed(
        notification_id="n1",
        lease_token=UUID(int=1),
        deadline_s=4.0,
        kind="activated",
        priority="high",
        attempts=0,
        failures=0,
        created_at=now(),
        since=now(),
        body='{"type": "alert.activated", "data": {"what": "60 µg/d"}}'.encode(),
        url=url,
        secrets=tuple(secret.split()),
        endpoint=UUID(int=2),
        endpoint_name="clinic",
        alert_id=UUID(int=3),
        number=1,
    )


@dataclass
class Rows:
    pool: asyncpg.Pool
    pump: int = 0
    ids: list[str] = field(default_factory=list)

    async def an_endpoint(
        self, endpoint: Endpoint | None = None, url: str = "http://127.0.0.1:9/", **columns: object
    ) -> UUID:
        secret = endpoint.secret if endpoint else "whsec_" + "A" * 43 + "="
        row = {
            "name": f"endpoint {next(_numbers)}",
            "url": endpoint.url if endpoint else url,
            "secret": VAULT.seal(secret),
            **columns,
        }
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        return await self.pool.fetchval(
            f"INSERT INTO endpoint ({', '.join(row)}) VALUES ({places}) RETURNING id", *row.values()
        )

    async def an_alert(self) -> UUID:
        if not self.pump:
            self.pump = await self.pool.fetchval("INSERT INTO pump (pump_id) VALUES ('p1') RETURNING pump")
        alert = uuid4()
        await self.pool.execute(
            """
            INSERT INTO alert (id, pump, subject, condition, kind, priority, state, state_since, latching, began_at,
                detected_at, raised_at, detected_position, last_position, simulated, rulebook_version, evidence)
            VALUES ($1, $2, 'pump:p1', 'stall', 'physiological', 'high', 'resolved', $3, true, $3, $3,
                $3, $4, $4, true, '1', '{}')
            """,
            alert,
            self.pump,
            now(),
            next(_numbers),
        )
        return alert

    async def a_notification(
        self,
        endpoint: UUID,
        alert: UUID | None = None,
        *,
        number: int = 1,
        kind: str = "activated",
        priority: str = "high",
        due_at: datetime | None = None,
    ) -> str:
        alert = alert or await self.an_alert()
        notification = f"n{next(_numbers)}"
        body = {"type": f"alert.{kind}", "data": {"alert_id": str(alert), "what": "60 µg/d"}}
        await self.pool.execute(
            """
            INSERT INTO notification (id, alert_id, number, endpoint, kind, priority, body, created_at, due_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            notification,
            alert,
            number,
            endpoint,
            kind,
            priority,
            json.dumps(body),
            now(),
            due_at or now(),
        )
        self.ids.append(notification)
        return notification

    async def of(self, notification: str) -> asyncpg.Record:
        return await self.pool.fetchrow("SELECT * FROM notification WHERE id = $1", notification)

    async def attempts_of(self, notification: str) -> list[tuple[int, str, int | None]]:
        rows = await self.pool.fetch(
            "SELECT number, outcome, status FROM attempt WHERE notification_id = $1 ORDER BY id", notification
        )
        return [tuple(row) for row in rows]

    async def unsettled(self) -> int:
        return await self.pool.fetchval("SELECT count(*) FROM notification WHERE state = 'pending'")

    async def announce(self) -> None:
        await self.pool.execute("NOTIFY pumpwatch_outbox")

    async def pass_leases(self) -> None:
        """What the end of every lease looks like."""
        past = now() - timedelta(seconds=1)
        await self.pool.execute(
            "UPDATE notification SET lease_until = $1, due_at = $1 WHERE state = 'pending' AND lease_token IS NOT NULL",
            past,
        )

    async def hurry(self) -> None:
        """As if the waits between attempts had passed."""
        await self.pool.execute(
            "UPDATE notification SET due_at = $1 WHERE state = 'pending' AND lease_token IS NULL AND due_at > $1", now()
        )

    async def pass_probes(self) -> None:
        """As if the time had come to probe every endpoint."""
        await self.pool.execute("UPDATE circuit SET page_at = now(), report_at = now()")

    async def put_off_probes(self) -> bool:
        """Whether the one circuit could be kept from being probed: open, and every request has failed and counts."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('pumpwatch claim'))")
            return await connection.fetchval(
                """
                WITH put_off AS (
                    UPDATE circuit SET page_at = now() + interval '1 hour', report_at = now() + interval '1 hour'
                    WHERE opened_at IS NOT NULL AND failures = (SELECT count(*) FROM attempt)
                        AND NOT EXISTS (SELECT FROM notification WHERE lease_token IS NOT NULL)
                    RETURNING endpoint
                )
                SELECT count(*) = 1 FROM put_off
                """
            )

    async def until_settled(self, patience_s: float = 120, *, hurry: bool = False) -> None:
        async def settled() -> bool:
            if hurry:
                await self.hurry()
                await self.pass_probes()
            return await self.unsettled() == 0

        await until(settled, patience_s)


async def until(condition: Callable[[], Awaitable[bool]], patience_s: float = 120) -> None:
    """Return once `condition()`; fail when it has not come true in time."""
    async with asyncio.timeout(patience_s):
        while not await condition():  # noqa: ASYNC110 - another process sets it
            await asyncio.sleep(0.02)
