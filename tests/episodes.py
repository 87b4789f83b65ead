"""Builders for the tests of alerts: turns of a condition, minute by minute of one pump's time, and the pump itself."""

from datetime import UTC, datetime, timedelta

from service.core.alert import Alert
from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH, Circumstances, begin
from service.core.reading import DrugClass, position_of
from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.subject import Subject

START = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
PUMP = Subject(
    name="pump:p000001",
    pump=1,
    pump_id="p000001",
    site="north",
    drug_class=DrugClass.BACLOFEN,
    concentration_ug_ml=500.0,
)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def ms(moment: datetime) -> int:
    return round((moment - EPOCH).total_seconds() * 1000)


def usual_step(condition: Condition) -> int:
    """A stall without an MRI to explain it is at its second step."""
    return 2 if condition is Condition.STALL else 1


def turned(
    turn: Turn,
    minute: int,
    condition: Condition = Condition.STALL,
    *,
    pump: int = 1,
    step: int | None = None,
    began: float | None = None,
    delayed: bool = False,
    **evidence: float,
) -> Change:
    """A turn at the reading of this minute; a reading a minute, so the minute is also its place in the sequence."""
    return Change(
        pump=pump,
        condition=condition,
        turn=turn,
        step=step or usual_step(condition),
        position=position_of(7, minute),
        at_ms=ms(at(minute)),
        began_ms=ms(at(minute if began is None else began)),
        received_ms=ms(at(minute)),
        delayed=delayed,
        evidence={"program_ml_d": 0.5, **evidence},
    )


def given(minute: float, *, pump: Subject = PUMP, late_data: bool = False) -> Circumstances:
    return Circumstances(pump, DEFAULT_RULEBOOK, at(minute), late_data=late_data)


def an_alert(
    minute: int = 30, condition: Condition = Condition.STALL, *, step: int | None = None, delayed: bool = False
) -> Alert:
    """High and latching for a stall, medium for under-delivery; raised as soon as it was detected."""
    change = turned(Turn.BEGAN, minute, condition, step=step, delayed=delayed)
    return begin(change, None, given(minute)).alert
