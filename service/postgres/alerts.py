"""What do the turns of conditions, and what people do, change in the database? Alert, history and outbox together.

Every change is: lock the row, one move of core/lifecycle.py, write row, history and notifications; one transaction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import asyncpg

from service.core import lifecycle
from service.core.alert import Alert, AlertState
from service.core.bodies import body_of
from service.core.change import Change, Condition, Ruled, Turn
from service.core.lifecycle import AlertWritten, Circumstances, Move, NotificationKind
from service.core.override import Whose
from service.core.reconcile import InOrder, reconcile
from service.core.routing import Route, told
from service.core.rulebook import Rulebook
from service.core.shadow import part
from service.core.subject import NO_PUMP, Subject
from service.postgres import alert_rows, shadow
from service.postgres.alert_rows import NotificationRow
from service.postgres.outbox import hasten
from service.postgres.waking import CHANNEL


class UnknownAlertError(Exception):
    """There is no alert of this id."""


_WAKE: Final = f"NOTIFY {CHANNEL}"
# There may be no alert at one moment and thousands at the next. A plan kept from the first, those of the foreign keys
# included, reads whole tables: a storm of alerts took ten times as long.
_PLAN_ANEW: Final = "SET LOCAL plan_cache_mode = force_custom_plan"


class AlertStore:
    """Holds nothing but the rulebook: the rows are the truth, and each call locks those that it changes."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook

    def use(self, rulebook: Rulebook) -> None:
        """Decide by `rulebook` from now on. What is open stays as it was decided."""
        self._rulebook = rulebook

    async def apply(
        self, connection: asyncpg.Connection, changes: Sequence[Change], now: datetime
    ) -> list[AlertWritten]:
        """Make of each turn, in their order, what it means for its alert. What was applied before changes nothing.

        A turn may be a pump's, a site's or the service's.
        """
        if not changes:
            return []
        await connection.execute(_PLAN_ANEW)
        pumps = await alert_rows.pumps_of(connection, {change.pump for change in changes if change.pump != NO_PUMP})
        others = await alert_rows.others_of(connection, {change.subject for change in changes if change.subject})
        about = [others[change.subject] if change.subject else pumps[change.pump] for change in changes]
        subjects = {subject.name: subject for subject in about}
        key_of = [(subject.name, change.condition) for subject, change in zip(about, changes, strict=True)]
        keys = dict.fromkeys(key_of)
        locked = await alert_rows.lock_open(connection, keys)
        current = {(alert.subject, alert.condition): alert for alert in locked}
        resolved = await alert_rows.newest_resolved(connection, keys)
        previous = {(alert.subject, alert.condition): alert for alert in resolved}
        ending = {key for key, change in zip(key_of, changes, strict=True) if change.turn is Turn.ENDED}
        attempted = await alert_rows.lock_attempted(connection, [current[key].id for key in ending & current.keys()])
        active = {key for key, alert in current.items() if alert.state is AlertState.ACTIVE}
        parted = part(zip(key_of, map(self._ruled, changes, about), strict=True), active)
        await shadow.record(connection, parted.shadowed, now)
        moves = []
        for key, change in parted.told:
            alert = current.get(key)
            move = lifecycle.turn(
                change,
                alert,
                previous.get(key),
                Circumstances(subjects[key[0]], self._rulebook, now),
                announced=alert is not None and alert.id in attempted,
            )
            if move is None:
                continue
            moves.append(move)
            if move.alert.state is AlertState.RESOLVED:
                previous[key] = move.alert
                current.pop(key, None)
            else:
                current[key] = move.alert
        return await self._write(connection, moves, subjects, attempted, now)

    async def reconcile(
        self,
        connection: asyncpg.Connection,
        pump: int,
        since_position: int,
        episodes: Sequence[Change],
        now: datetime,
        *,
        held: Collection[Condition],
        untold: Collection[Condition] = (),
    ) -> list[AlertWritten]:
        """Make the pump's alerts those of in-order arrival, after it was rebuilt from `since_position`.

        `episodes` are all turns that in-order evaluation gives after it, `held` the conditions that held there, and
        `untold` those that the rules in force there told nobody of.
        """
        await connection.execute(_PLAN_ANEW)
        alerts = await alert_rows.lock_since(connection, pump, since_position)
        subject = (await alert_rows.pumps_of(connection, [pump]))[pump]
        attempted = await alert_rows.lock_attempted(connection, [alert.id for alert in alerts])
        active = {
            (subject.name, alert.condition)
            for alert in alerts
            if alert.detected_position <= since_position
            and (alert.state is AlertState.ACTIVE or alert.last_position > since_position)
        }
        ruled = [self._ruled(turn, subject) for turn in episodes]
        parted = part((((subject.name, turn.condition), turn) for turn in ruled), active)
        await shadow.rewrite(connection, pump, since_position, parted.shadowed, now)
        moves = reconcile(
            alerts,
            attempted,
            InOrder(
                since_position,
                [each for each in held if each not in untold or (subject.name, each) in active],
                [turn for _, turn in parted.told],
            ),
            Circumstances(subject, self._rulebook, now, late_data=True),
        )
        return await self._write(connection, moves, {subject.name: subject}, attempted, now)

    def _ruled(self, change: Change, subject: Subject) -> Change:
        """With what the rules say of it: those that were in force for the pump, or else those in force now."""
        if change.ruled is not None:
            return change
        whose = Whose(subject.drug_class, subject.site or "", subject.pump_id or "")
        ladder = self._rulebook.ladder(change.condition, whose)
        priority = ladder[min(change.step, len(ladder)) - 1]
        standing = self._rulebook.standing(change.condition, whose)
        return replace(change, ruled=Ruled(self._rulebook.version, priority, standing))

    async def release(self, connection: asyncpg.Connection, pumps: Sequence[int], now: datetime) -> None:
        """These pumps have caught up with our clock: what their delayed data found is announced now."""
        if await alert_rows.release(connection, pumps, now):
            await connection.execute(_WAKE)

    async def inhibit(
        self, connection: asyncpg.Connection, alerts: Collection[UUID], by: UUID, now: datetime
    ) -> list[AlertWritten]:
        """The alert `by` tells of these as well: what they have not yet told anybody, they tell nobody."""
        written = await self._move_all(connection, alerts, lambda alert: lifecycle.inhibit(alert, by, now), now)
        await alert_rows.collapse(connection, alerts, now)
        return written

    async def announce(
        self, connection: asyncpg.Connection, alerts: Mapping[UUID, float], now: datetime
    ) -> list[AlertWritten]:
        """What told of these is over: they are told of, each after so many seconds, if they still hold then."""
        return await self._move_all(
            connection, alerts, lambda alert: lifecycle.release(alert, alerts[alert.id], now), now
        )

    async def _move_all(
        self, connection: asyncpg.Connection, alerts: Collection[UUID], move: Callable[[Alert], Move], now: datetime
    ) -> list[AlertWritten]:
        moves = [move(alert) for alert in await alert_rows.lock_active(connection, alerts)]
        subjects = await alert_rows.pumps_of(connection, {each.alert.pump for each in moves if each.alert.pump})
        by_name = {subject.name: subject for subject in subjects.values()}
        attempted = await alert_rows.lock_attempted(connection, [each.alert.id for each in moves])
        return await self._write(connection, moves, by_name, attempted, now)

    async def acknowledge(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> AlertWritten:
        """Raises UnknownAlertError, IllegalTransitionError and AlreadyAcknowledgedError."""
        return await self._command(connection, alert_id, now, lambda a: lifecycle.acknowledge(a, actor, note, now))

    async def reset(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> AlertWritten:
        """Raises UnknownAlertError and IllegalTransitionError."""
        return await self._command(connection, alert_id, now, lambda a: lifecycle.reset(a, actor, note, now))

    async def _command(
        self, connection: asyncpg.Connection, alert_id: UUID, now: datetime, command: Callable[[Alert], Move]
    ) -> AlertWritten:
        async with connection.transaction():
            alert = await alert_rows.lock_one(connection, alert_id)
            if alert is None:
                raise UnknownAlertError(f"no alert {alert_id}")
            move = command(alert)
            subject = await _subject_of(connection, alert)
            attempted = await alert_rows.lock_attempted(connection, [alert.id])
            written = await self._write(connection, [move], {subject.name: subject}, attempted, now)
        return written[0]

    async def _write(
        self,
        connection: asyncpg.Connection,
        moves: Sequence[Move],
        subjects: Mapping[str, Subject],
        attempted: Mapping[UUID, Collection[UUID]],
        now: datetime,
    ) -> list[AlertWritten]:
        if not moves:
            return []
        after = await _after(connection, moves)
        new = {move.alert.id for move in moves if move.begins}
        # First what there is: an alert that is resolved makes room for the next one of its condition.
        await alert_rows.update_alerts(connection, [alert for key, alert in after.items() if key not in new])
        inserted = await alert_rows.insert_alerts(connection, [after[key] for key in new])
        moves = [move for move in moves if move.alert.id not in new or move.alert.id in inserted]
        await alert_rows.insert_history(connection, [move.history for move in moves])
        await self._notify(connection, moves, subjects, attempted, now)
        return [_written(move) for move in moves]

    async def _notify(
        self,
        connection: asyncpg.Connection,
        moves: Sequence[Move],
        subjects: Mapping[str, Subject],
        attempted: Mapping[UUID, Collection[UUID]],
        now: datetime,
    ) -> None:
        """Put into the outbox what the moves ask for, and take out what nobody needs to hear any more."""
        routes = await alert_rows.routes(connection)
        heard = await alert_rows.last_heard(connection, {move.alert.pump for move in moves if move.alert.pump})
        rows = [
            row
            for move in moves
            if move.tells is not None
            for row in self._rows(
                move,
                move.tells,
                subjects[move.alert.subject],
                _told_of(move, routes, attempted.get(move.alert.id, ())),
                heard.get(move.alert.pump or NO_PUMP),
                now,
            )
        ]
        await alert_rows.insert_notifications(connection, rows)
        await hasten(connection, {row.alert_id for row in rows}, now)
        over = [move.alert.id for move in moves if move.alert.state is AlertState.RESOLVED]
        await alert_rows.collapse(connection, over, now)
        if rows or over:
            await connection.execute(_WAKE)

    def _rows(
        self,
        move: Move,
        kind: NotificationKind,
        subject: Subject,
        routes: Sequence[Route],
        last_heard_at: datetime | None,
        now: datetime,
    ) -> list[NotificationRow]:
        alert = move.alert
        body = body_of(
            kind,
            alert,
            subject,
            self._rulebook.do_now(alert.condition),
            now,
            last_heard_at=last_heard_at,
            told=[route.name for route in routes],
        )
        hold = timedelta(seconds=move.hold_s)
        return [
            NotificationRow(
                id=str(uuid5(alert.id, f"{move.history.number}/{route.endpoint}")),
                alert_id=alert.id,
                number=move.history.number,
                endpoint=route.endpoint,
                kind=kind,
                priority=alert.priority,
                body=body,
                created_at=now,
                due_at=now + hold,
            )
            for route in routes
        ]


def _told_of(move: Move, routes: Sequence[Route], attempted: Collection[UUID]) -> list[Route]:
    """Whoever was never told that it began is not told that it is over."""
    routes = told(routes, move.alert.priority, simulated=move.alert.simulated)
    return [route for route in routes if move.tells is not NotificationKind.RESOLVED or route.endpoint in attempted]


async def _after(connection: asyncpg.Connection, moves: Sequence[Move]) -> dict[UUID, Alert]:
    """The rows as the last of their moves leaves them, with the readings that began or raised each."""
    after = {move.alert.id: move.alert for move in moves}
    shown = {move.alert.id: move.shown for move in moves if move.shown is not None}
    readings = await alert_rows.readings_of(connection, list(shown.values()))
    for key, columns in zip(shown, readings, strict=True):
        after[key] = replace(after[key], evidence=after[key].evidence | {"readings": columns})
    return after


async def _subject_of(connection: asyncpg.Connection, alert: Alert) -> Subject:
    if alert.pump is not None:
        return (await alert_rows.pumps_of(connection, [alert.pump]))[alert.pump]
    return (await alert_rows.others_of(connection, [alert.subject]))[alert.subject]


def _written(move: Move) -> AlertWritten:
    alert = move.alert
    return AlertWritten(alert.id, alert.subject, alert.condition, move.history.event, alert.state, alert.priority)
