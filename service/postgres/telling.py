"""Who is told, and what? From the tables into core/telling.py, and from there into the outbox."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid5

import asyncpg

from service.core.alert import AlertState
from service.core.bodies import body_of
from service.core.lifecycle import Move, NotificationKind
from service.core.roster import Roster
from service.core.rulebook import Rulebook
from service.core.subject import NO_PUMP, Subject
from service.core.telling import Book, Told
from service.postgres import notification_rows, rosters
from service.postgres.notification_rows import NotificationRow
from service.postgres.outbox import hasten
from service.postgres.waking import CHANNEL

_WAKE: Final = f"NOTIFY {CHANNEL}"


async def book(connection: asyncpg.Connection, moves: Sequence[Move], subjects: Mapping[str, Subject]) -> Book:
    """Nothing is read where nobody is to be told."""
    if all(move.tells is None for move in moves):
        return Book(Roster(), [])
    roster = await rosters.load(connection, {subject.time_zone for subject in subjects.values()})
    return Book(roster, await notification_rows.routes(connection))


async def notify(
    connection: asyncpg.Connection,
    found: Sequence[Told],
    subjects: Mapping[str, Subject],
    rulebook: Rulebook,
    now: datetime,
) -> None:
    """Put into the outbox what was found, and take out what nobody needs to hear any more."""
    heard = await notification_rows.last_heard(
        connection, {each.move.alert.pump for each in found if each.move.alert.pump and each.routes}
    )
    rows = [
        row
        for each in found
        if each.move.tells is not None
        for row in _rows(
            each,
            each.move.tells,
            subjects[each.move.alert.subject],
            rulebook,
            heard.get(each.move.alert.pump or NO_PUMP),
            now,
        )
    ]
    await notification_rows.insert_notifications(connection, rows)
    await hasten(connection, {row.alert_id for row in rows}, now)
    over = [each.move.alert.id for each in found if each.move.alert.state is AlertState.RESOLVED]
    await notification_rows.collapse(connection, over, now)
    if rows or over:
        await connection.execute(_WAKE)


def _rows(
    told: Told,
    kind: NotificationKind,
    subject: Subject,
    rulebook: Rulebook,
    last_heard_at: datetime | None,
    now: datetime,
) -> list[NotificationRow]:
    alert, number = told.move.alert, told.move.history.number
    if not told.routes:
        return []
    body = body_of(
        kind,
        alert,
        subject,
        rulebook.do_now(alert.condition),
        now,
        last_heard_at=last_heard_at,
        told=[route.name for route in told.routes],
    )
    return [
        NotificationRow(
            id=str(uuid5(alert.id, f"{number}/{route.endpoint}")),
            alert_id=alert.id,
            number=number,
            endpoint=route.endpoint,
            kind=kind,
            priority=alert.priority,
            body=body,
            created_at=now,
            due_at=told.due_at,
        )
        for route in told.routes
    ]
