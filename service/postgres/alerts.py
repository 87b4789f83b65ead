"""What do the turns of conditions, and what people do, change in the database? Alert, history and outbox together.

Every change is: lock the row, one move of core/lifecycle.py, write row, history and notifications; one transaction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from service.core import answers, lifecycle
from service.core.alert import Alert, AlertState
from service.core.causes import FAMILY, settle
from service.core.change import Change, Condition, Ruled, Turn
from service.core.lifecycle import LINKED_WITHIN, AlertWritten, Circumstances, Move
from service.core.override import Whose
from service.core.reconcile import InOrder, reconcile
from service.core.rulebook import Rulebook
from service.core.shadow import part
from service.core.subject import NO_PUMP, Subject
from service.core.telling import Asked, tell
from service.postgres import alert_rows, notification_rows, shadow, telling
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
        related = {name for name, condition in keys if condition in FAMILY}
        locked = await alert_rows.lock_open(connection, {*keys, *((name, each) for name in related for each in FAMILY)})
        current = {(alert.subject, alert.condition): alert for alert in locked}
        resolved = await alert_rows.newest_resolved(connection, keys, now - LINKED_WITHIN)
        previous = {(alert.subject, alert.condition): alert for alert, _ in resolved}
        episodes = {(alert.subject, alert.condition): count for alert, count in resolved}
        asked = await notification_rows.lock_asked(connection, [alert.id for alert in locked])
        active = {key for key, alert in current.items() if alert.state is AlertState.ACTIVE}
        parted = part(zip(key_of, map(self._ruled, changes, about), strict=True), active)
        await shadow.record(connection, parted.shadowed, now)
        await self._keep_unraised(connection, [change for _, change in parted.told], subjects)
        moves: list[Move] = []
        for key, change in parted.told:
            alert = current.get(key)
            if change.turn is not Turn.ENDED and not subjects[key[0]].in_service:
                continue
            move = lifecycle.turn(
                change,
                alert,
                previous.get(key),
                Circumstances(subjects[key[0]], self._rulebook, now, episodes=episodes.get(key, 0)),
                announced=alert is not None and _attempted(asked, alert.id),
            )
            if move is None:
                continue
            moves.append(move)
            episodes[key] = episodes.get(key, 0) + move.begins
            if move.alert.state is AlertState.RESOLVED:
                previous[key] = move.alert
                current.pop(key, None)
            else:
                current[key] = move.alert
            for settled in settle(_active(current, key[0]), now) if key[1] in FAMILY else ():
                moves.append(settled)
                current[settled.alert.subject, settled.alert.condition] = settled.alert
        return await self._write(connection, moves, subjects, asked, now)

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
        asked = await notification_rows.lock_asked(connection, [alert.id for alert in alerts])
        active = {
            (subject.name, alert.condition)
            for alert in alerts
            if alert.detected_position <= since_position
            and (alert.state is AlertState.ACTIVE or alert.last_position > since_position)
        }
        ruled = [self._ruled(turn, subject) for turn in episodes]
        parted = part((((subject.name, turn.condition), turn) for turn in ruled), active)
        await shadow.rewrite(connection, pump, since_position, parted.shadowed, now)
        if not subject.in_service:
            await alert_rows.keep_unraised(connection, [turn for _, turn in parted.told])
            return []
        moves = reconcile(
            alerts,
            {alert.id for alert in alerts if _attempted(asked, alert.id)},
            InOrder(
                since_position,
                [each for each in held if each not in untold or (subject.name, each) in active],
                [turn for _, turn in parted.told],
            ),
            Circumstances(subject, self._rulebook, now, late_data=True),
        )
        current = {(alert.subject, alert.condition): alert for alert in [*alerts, *(move.alert for move in moves)]}
        moves += settle(_active(current, subject.name), now)
        return await self._write(connection, moves, {subject.name: subject}, asked, now)

    async def _keep_unraised(
        self, connection: asyncpg.Connection, changes: Sequence[Change], subjects: Mapping[str, Subject]
    ) -> None:
        out = {subject.pump for subject in subjects.values() if not subject.in_service}
        if out:
            await alert_rows.keep_unraised(connection, [change for change in changes if change.pump in out])

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
        if await notification_rows.release(connection, pumps, now):
            await connection.execute(_WAKE)

    async def inhibit(
        self, connection: asyncpg.Connection, alerts: Collection[UUID], by: UUID, now: datetime
    ) -> list[AlertWritten]:
        """The alert `by` tells of these as well: what they have not yet told anybody, they tell nobody."""
        written = await self._move_all(connection, alerts, lambda alert: lifecycle.inhibit(alert, by, now), now)
        await notification_rows.collapse(connection, alerts, now)
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
        return await self.move(connection, moves, now)

    async def acknowledge(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> AlertWritten:
        """Raises UnknownAlertError, IllegalTransitionError and AlreadyAcknowledgedError."""
        return await self._command(connection, alert_id, now, lambda a: answers.acknowledge(a, actor, note, now))

    async def reset(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> AlertWritten:
        """Raises UnknownAlertError and IllegalTransitionError."""
        return await self._command(connection, alert_id, now, lambda a: answers.reset(a, actor, note, now))

    async def shelve(
        self,
        connection: asyncpg.Connection,
        alert_id: UUID,
        actor: str,
        reason: str,
        now: datetime,
        *,
        until: datetime,
    ) -> AlertWritten:
        """Raises UnknownAlertError, IllegalTransitionError and ShelfRefusedError."""
        written = await self._command(connection, alert_id, now, lambda a: answers.shelve(a, actor, reason, until, now))
        await notification_rows.collapse(connection, [alert_id], now)
        return written

    async def unshelve(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> AlertWritten:
        """Raises UnknownAlertError, IllegalTransitionError and ShelfRefusedError."""
        return await self._command(connection, alert_id, now, lambda a: answers.unshelve(a, actor, note, now))

    async def move(self, connection: asyncpg.Connection, moves: Sequence[Move], now: datetime) -> list[AlertWritten]:
        """Write moves of alerts whose rows this transaction holds."""
        alerts = [move.alert for move in moves]
        asked = await notification_rows.lock_asked(connection, [alert.id for alert in alerts])
        return await self._write(connection, moves, await alert_rows.subjects_of(connection, alerts), asked, now)

    async def _command(
        self, connection: asyncpg.Connection, alert_id: UUID, now: datetime, command: Callable[[Alert], Move]
    ) -> AlertWritten:
        async with connection.transaction():
            alert = await alert_rows.lock_one(connection, alert_id)
            if alert is None:
                raise UnknownAlertError(f"no alert {alert_id}")
            move = command(alert)
            subjects = await alert_rows.subjects_of(connection, [alert])
            asked = await notification_rows.lock_asked(connection, [alert.id])
            written = await self._write(connection, [move], subjects, asked, now)
        return written[0]

    async def _write(
        self,
        connection: asyncpg.Connection,
        moves: Sequence[Move],
        subjects: Mapping[str, Subject],
        asked: Mapping[UUID, Asked],
        now: datetime,
    ) -> list[AlertWritten]:
        if not moves:
            return []
        found = tell(moves, subjects, await telling.book(connection, moves, subjects), asked, now)
        after = await _after(connection, [each.move for each in found])
        new = {move.alert.id for move in moves if move.begins}
        # First what there is: an alert that is resolved makes room for the next one of its condition.
        await alert_rows.update_alerts(connection, [alert for key, alert in after.items() if key not in new])
        inserted = await alert_rows.insert_alerts(connection, [after[key] for key in new])
        found = [each for each in found if each.move.alert.id not in new or each.move.alert.id in inserted]
        await alert_rows.insert_history(connection, [each.move.history for each in found])
        await telling.notify(connection, found, subjects, self._rulebook, now)
        return [_written(each.move) for each in found]


async def _after(connection: asyncpg.Connection, moves: Sequence[Move]) -> dict[UUID, Alert]:
    """The rows as the last of their moves leaves them, with the readings that began or raised each."""
    after = {move.alert.id: move.alert for move in moves}
    shown = {move.alert.id: move.shown for move in moves if move.shown is not None}
    readings = await alert_rows.readings_of(connection, list(shown.values()))
    for key, columns in zip(shown, readings, strict=True):
        after[key] = replace(after[key], evidence=after[key].evidence | {"readings": columns})
    return after


def _active(current: Mapping[alert_rows.Key, Alert], subject: str) -> dict[Condition, Alert]:
    """Of one subject, the active alerts that may be causes and consequences of each other."""
    found = ((condition, current.get((subject, condition))) for condition in FAMILY)
    return {condition: a for condition, a in found if a is not None and a.state is AlertState.ACTIVE}


def _attempted(asked: Mapping[UUID, Asked], alert: UUID) -> bool:
    """Whether somebody may have been told of it."""
    return alert in asked and bool(asked[alert].attempted)


def _written(move: Move) -> AlertWritten:
    alert = move.alert
    event = move.history.event
    return AlertWritten(
        alert.id, alert.subject, alert.condition, event, alert.state, alert.priority, alert.last_position
    )
