"""Which drills are there? An alert that asks as a real one does, says in each word that it is none, and ends itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

import asyncpg

from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.core.subject import NO_PUMP, service_subject, site_subject
from service.core.way import ended_of
from service.postgres.accounts import audit

LONGEST: Final = timedelta(hours=4)
_STEPS: Final = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}


class Turned(Protocol):
    """What makes alerts of turns: postgres/alerts.py."""

    async def apply(
        self, connection: asyncpg.Connection, changes: Sequence[Change], now: datetime
    ) -> list[AlertWritten]:
        """In the caller's transaction."""


class DrillRefusedError(Exception):
    """It cannot be begun or ended so; `field` says what is to blame."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field, self.why = field, why


_SITE: Final = "SELECT EXISTS (SELECT FROM site WHERE site = $1)"
_OPEN: Final = """
SELECT id, subject, priority, raised_at, acknowledged_at, acknowledged_by, evidence->>'by' AS by,
       'epoch'::timestamptz + (evidence->>'until_ms')::bigint * interval '1 ms' AS until
FROM alert
WHERE condition = 'drill' AND state = 'active' AND ($1::text[] IS NULL OR site = ANY ($1)) ORDER BY raised_at
"""


async def open_drills(connection: asyncpg.Connection, seen: list[str] | None = None) -> list[asyncpg.Record]:
    """Those under way; `seen`: of these sites alone."""
    rows: list[asyncpg.Record] = await connection.fetch(_OPEN, seen)
    return rows


async def begin(
    connection: asyncpg.Connection,
    alert_store: Turned,
    actor: str,
    now: datetime,
    *,
    priority: Priority,
    site: str | None,
    lasts: timedelta,
    note: str = "",
) -> UUID:
    """Page whom a real alert of this site and priority would; the alert's id. Raises DrillRefusedError."""
    if not timedelta(0) < lasts <= LONGEST:
        raise DrillRefusedError("minutes", f"must be above 0 and at most {LONGEST // timedelta(minutes=1)}")
    subject = service_subject("drill") if site is None else site_subject(site)
    async with connection.transaction():
        if site is not None and not await connection.fetchval(_SITE, site):
            raise DrillRefusedError("site", f"there is no site {site!r}")
        written = await alert_store.apply(connection, [_began(subject, actor, priority, now, lasts)], now)
        if not written:
            raise DrillRefusedError("site", "a drill is under way there")
        alert = written[0].alert_id
        detail = {"subject": subject, "priority": str(priority), "minutes": lasts / timedelta(minutes=1), "note": note}
        await audit(connection, actor, "drill_begun", str(alert), detail)
    return alert


_ONE: Final = "SELECT subject FROM alert WHERE id = $1 AND condition = 'drill' AND state = 'active'"


async def end(connection: asyncpg.Connection, alert_store: Turned, alert: UUID, actor: str, now: datetime) -> None:
    """Before its time. Raises DrillRefusedError."""
    async with connection.transaction():
        subject = await connection.fetchval(_ONE, alert)
        if subject is None:
            raise DrillRefusedError("id", f"no drill {alert} is under way")
        await alert_store.apply(connection, [ended_of(subject, Condition.DRILL, _ms(now))], now)
        await audit(connection, actor, "drill_ended", str(alert), {})


async def look_once(connection: asyncpg.Connection, alert_store: Turned, now: datetime) -> list[AlertWritten]:
    """End those whose time is over."""
    over = [row["subject"] for row in await open_drills(connection) if row["until"] <= now]
    if not over:
        return []
    async with connection.transaction():
        return await alert_store.apply(
            connection, [ended_of(subject, Condition.DRILL, _ms(now)) for subject in over], now
        )


def _began(subject: str, actor: str, priority: Priority, now: datetime, lasts: timedelta) -> Change:
    now_ms = _ms(now)
    return Change(
        pump=NO_PUMP,
        condition=Condition.DRILL,
        turn=Turn.BEGAN,
        step=_STEPS[priority],
        position=now_ms,
        at_ms=now_ms,
        began_ms=now_ms,
        received_ms=now_ms,
        evidence={"by": actor, "until_ms": _ms(now + lasts)},
        subject=subject,
    )


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
