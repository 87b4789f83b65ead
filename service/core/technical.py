"""What else is decided outside the fold: silence while the motor stands still, readings lost, a clock that is off."""

from typing import NamedTuple

from service.core.change import Change, Condition, Turn
from service.core.override import Whose
from service.core.rulebook import Rulebook

DAY_MS = 86_400_000


class Locked(NamedTuple):
    """A pump whose stall alert is active, or whose alert for the lock is."""

    pump: int
    heard_ms: int
    position: int  # names the episode
    stalled: bool
    stall: str  # the id of the stall's alert, or empty
    locked_since_ms: int | None  # last heard, where the alert for the lock is active
    whose: Whose = Whose()


def lock_turn(pump: Locked, rulebook: Rulebook, now_ms: int) -> Change | None:
    """Nothing heard since the motor stood still: an interrogator may hold the pump in its telemetry mode."""
    if pump.locked_since_ms is not None:
        if pump.heard_ms <= pump.locked_since_ms:
            return None
        return _turn(pump.pump, Condition.TELEMETRY_LOCK, Turn.ENDED, pump.position, pump.locked_since_ms, now_ms, {})
    after_ms = rulebook.limit_of(Condition.TELEMETRY_LOCK, "after_s", pump.whose) * 1000
    if not pump.stalled or now_ms - pump.heard_ms <= after_ms:
        return None
    evidence: dict[str, float | int | str] = {"silent_s": (now_ms - pump.heard_ms) // 1000}
    if pump.stall:
        evidence["stall_alert"] = pump.stall
    return _turn(pump.pump, Condition.TELEMETRY_LOCK, Turn.BEGAN, pump.position, pump.heard_ms, now_ms, evidence)


class Losses(NamedTuple):
    """Readings of a pump that will never come, of those noticed within the span that the limit names."""

    pump: int
    lost: int
    first_ms: int  # when the first of them was noticed
    newest_ms: int
    position: int  # names the episode
    told: bool  # its alert is active
    whose: Whose = Whose()


def loss_turn(losses: Losses, rulebook: Rulebook, now_ms: int) -> Change | None:
    """One alert as long as readings go on being lost: it ends after a day without."""
    if losses.told:
        if losses.lost:
            return None
        return _turn(losses.pump, Condition.SEQUENCE_GAP, Turn.ENDED, losses.position, losses.newest_ms, now_ms, {})
    if losses.lost < rulebook.limit_of(Condition.SEQUENCE_GAP, "readings", losses.whose):
        return None
    lost: dict[str, float | int | str] = {"lost": losses.lost}
    return _turn(losses.pump, Condition.SEQUENCE_GAP, Turn.BEGAN, losses.position, losses.first_ms, now_ms, lost)


class ClockSaid(NamedTuple):
    """The newest offset of a pump's clock."""

    pump: int
    offset_ms: int
    position: int  # from which it applies
    told: bool


def clock_turn(clock: ClockSaid, now_ms: int) -> Change | None:
    """An offset is stored only where the clock was found to be off, or right again (core/clocks.py)."""
    if (clock.offset_ms != 0) == clock.told:
        return None
    turn = Turn.BEGAN if clock.offset_ms else Turn.ENDED
    offset: dict[str, float | int | str] = {"offset_ms": clock.offset_ms}
    return _turn(clock.pump, Condition.CLOCK_OFF, turn, clock.position, now_ms, now_ms, offset)


def _turn(
    pump: int,
    condition: Condition,
    turn: Turn,
    position: int,
    since_ms: int,
    now_ms: int,
    evidence: dict[str, float | int | str],
) -> Change:
    return Change(
        pump=pump,
        condition=condition,
        turn=turn,
        step=1,
        position=position,
        at_ms=now_ms,
        began_ms=since_ms,
        received_ms=now_ms,
        evidence=evidence,
    )
