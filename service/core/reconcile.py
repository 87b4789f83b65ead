"""Which alerts would there be, had every reading come in order? The moves that make them so.

A pump was rebuilt since readings came late. What in-order evaluation finds is compared, condition by condition, with
the alerts that there are; people may have been told of those, so they are ended or withdrawn, never deleted.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from service.core.alert import Alert, AlertEvent, AlertState
from service.core.change import Change, Condition, Turn
from service.core.lifecycle import (
    EPOCH,
    Circumstances,
    Move,
    begin,
    come_back,
    correct_onset,
    end,
    find_late,
    pump_time,
    rise,
    withdraw,
)
from service.core.state import DECIDED
from service.core.subject import NO_PUMP


@dataclass(frozen=True, slots=True)
class InOrder:
    """What in-order evaluation finds after a position: the conditions that held there, and all turns since."""

    since_position: int
    held: Collection[Condition]
    turns: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that a condition held, in order. `began` is None if it held already where the rebuilding started."""

    began: Change | None
    highest: Change | None  # the turn to the highest step
    ended: Change | None = None


def reconcile(alerts: Sequence[Alert], announced: Collection[UUID], found: InOrder, given: Circumstances) -> list[Move]:
    """Return what makes `alerts` those of in-order arrival; nothing if they are already.

    `alerts`: every alert of the pump that is open or was changed after `found.since_position`, and the last of each
    condition before it. `announced`: those that somebody may have been told of. Only conditions that the fold decides
    are touched.
    """
    moves: list[Move] = []
    for condition in DECIDED:
        rows = sorted((a for a in alerts if a.condition is condition), key=lambda alert: alert.detected_position)
        own = sorted((t for t in found.turns if t.condition is condition), key=lambda turn: turn.position)
        episodes = _episodes(own, held=condition in found.held)
        opened = _open(rows, episodes, announced, found.since_position, given)
        # An alert whose onset is corrected no longer tells of what it was believed to.
        after = {move.alert.id: move.alert for move in opened if move.history.event is AlertEvent.ONSET_CORRECTED}
        moves += _found_late([after.get(row.id, row) for row in rows], episodes, given)
        moves += opened
    return moves


def _episodes(turns: Iterable[Change], *, held: bool) -> list[Episode]:
    episodes: list[Episode] = []
    current = Episode(None, None) if held else None
    for turn in turns:
        if turn.turn is Turn.ENDED:
            if current is not None:
                episodes.append(replace(current, ended=turn))
            current = None
        elif current is None:
            current = Episode(turn, turn)
        elif current.highest is None or turn.step > current.highest.step:
            current = replace(current, highest=turn)
    return episodes if current is None else [*episodes, current]


def _found_late(rows: Sequence[Alert], episodes: Iterable[Episode], given: Circumstances) -> list[Move]:
    """Keep the episodes that are over and that no alert tells of."""
    moves = []
    for episode in episodes:
        if episode.began is None or episode.ended is None or any(_tells_of(row, episode) for row in rows):
            continue
        began = begin(episode.began, None, given)
        moves += [replace(began, tells=None), find_late(began.alert, episode.ended, given)]
    return moves


def _open(
    rows: Sequence[Alert],
    episodes: Sequence[Episode],
    announced: Collection[UUID],
    since_position: int,
    given: Circumstances,
) -> list[Move]:
    """Make the open alert of one condition what it would be."""
    alert = next((row for row in rows if row.state is not AlertState.RESOLVED), None)
    going_on = episodes[-1] if episodes and episodes[-1].ended is None else None
    move: Move | None = None
    corrected: list[Move] = []
    if going_on is not None:
        if alert is not None and alert.state is AlertState.ACTIVE:
            corrected = _corrected(alert, episodes, since_position, given)
            alert = corrected[0].alert if corrected else alert
        move = _hold(alert, going_on, rows, since_position, given)
    elif alert is not None:
        told_of = [episode.ended for episode in episodes if episode.ended is not None and _tells_of(alert, episode)]
        if alert.detected_position > since_position and not told_of:
            move = withdraw(alert, given.now)
        elif alert.state is AlertState.ACTIVE:
            over = told_of[-1] if told_of else _over_before(alert, since_position)
            move = end(alert, over, given, announced=alert.id in announced)
    return corrected if move is None else [*corrected, move]


def _corrected(alert: Alert, episodes: Sequence[Episode], since_position: int, given: Circumstances) -> list[Move]:
    """An active alert tells of the first episode that was not over when it was found: with that one's onset."""
    own = next(each for each in episodes if each.ended is None or each.ended.position > alert.detected_position)
    if own.began is None or alert.detected_position <= since_position:
        return []
    onset = pump_time(own.began.began_ms), pump_time(own.began.at_ms)
    return [] if (alert.began_at, alert.detected_at) == onset else [correct_onset(alert, own.began, given)]


def _hold(
    alert: Alert | None, going_on: Episode, rows: Sequence[Alert], since_position: int, given: Circumstances
) -> Move | None:
    """The condition holds: an alert must be active for it, at the highest step that it has reached."""
    if alert is not None and alert.state is AlertState.ACTIVE:
        return None if going_on.highest is None else rise(alert, going_on.highest, given)
    change = going_on.highest or _held_since_before(rows, since_position)
    if change is None:
        return None
    if alert is not None:
        return come_back(alert, change, given)
    onset = going_on.began or _held_since_before(rows, since_position) or change
    change = replace(change, at_ms=onset.at_ms, began_ms=onset.began_ms, position=_free(onset.position, rows))
    return begin(change, rows[-1] if rows else None, given)


def _held_since_before(rows: Sequence[Alert], since_position: int) -> Change | None:
    """The onset of an episode that goes on, from the alert that arrival out of order had ended or found later."""
    if not rows:
        return None
    earlier = [row for row in rows if row.detected_position <= since_position]
    alert = earlier[-1] if earlier else rows[0]
    return _as_turn(alert, Turn.BEGAN, alert.detected_position, _ms(alert, "detected_ms"))


def _over_before(alert: Alert, since_position: int) -> Change:
    """In order, the condition was over before the rebuilding started, and did not come back."""
    return _as_turn(alert, Turn.ENDED, since_position, _ms(alert, "began_ms"))


def _as_turn(alert: Alert, turn: Turn, position: int, at_ms: int) -> Change:
    return Change(
        pump=alert.pump or NO_PUMP,
        condition=alert.condition,
        turn=turn,
        step=int(alert.evidence.get("step", 1)),
        position=position,
        at_ms=at_ms,
        began_ms=_ms(alert, "began_ms"),
        received_ms=at_ms,
        evidence=alert.evidence,
    )


def _ms(alert: Alert, key: str) -> int:
    return int(alert.evidence.get(key, (alert.began_at - EPOCH).total_seconds() * 1000))


def _tells_of(alert: Alert, episode: Episode) -> bool:
    """Whether it is the same episode: detected at the same reading, or overlapping in pump time."""
    if episode.began is not None and alert.detected_position == episode.began.position:
        return True
    if alert.ended_at is None and alert.state is AlertState.RESOLVED:
        return False  # withdrawn: it never was
    ends_after = episode.began is None or alert.ended_at is None or alert.ended_at >= pump_time(episode.began.began_ms)
    begins_before = episode.ended is None or alert.began_at <= pump_time(episode.ended.at_ms)
    return ends_after and begins_before


def _free(position: int, rows: Iterable[Alert]) -> int:
    """Nothing is reopened: an episode whose alert was resolved too early goes on under the next free position."""
    taken = {row.detected_position for row in rows}
    while position in taken:
        position += 1
    return position
