"""What did the rules find? A condition of one pump began, rose or ended, at one reading."""

from dataclasses import dataclass, field
from enum import StrEnum


class Condition(StrEnum):
    """What can be wrong with a pump. The strings are those of the rulebook, the database, the API and the webhooks."""

    STALL = "stall"
    OVER_DELIVERY_GROSS = "over_delivery_gross"
    OVER_DELIVERY = "over_delivery"
    UNDER_DELIVERY = "under_delivery"
    RESERVOIR_LOW = "reservoir_low"
    SILENCE = "silence"
    CLOCK_OFF = "clock_off"
    UNREGISTERED = "unregistered"


class Kind(StrEnum):
    """Physiological: the patient's therapy is touched. Technical: we cannot see, or cannot tell."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


KINDS: dict[Condition, Kind] = {
    condition: Kind.TECHNICAL
    if condition in {Condition.SILENCE, Condition.CLOCK_OFF, Condition.UNREGISTERED}
    else Kind.PHYSIOLOGICAL
    for condition in Condition
}


class Priority(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Higher is more urgent."""
        return {"low": 1, "medium": 2, "high": 3}[self.value]


class Turn(StrEnum):
    BEGAN = "began"
    ROSE = "rose"  # the condition went to a higher step: the priority may rise with it
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Change:
    """One turn of one condition on one pump.

    `pump` is the pump's row number in the database. `position` is the reading (or, for silence, the last one heard)
    that caused the turn; the pair (pump, condition) turns at most once at a position, so a turn replayed is recognised.
    `at_ms` is pump time of that reading, `began_ms` pump time of the onset, `received_ms` our time of its arrival.
    `step` is 1 for most conditions, 1 to 3 for those with a ladder of limits (reservoir). `delayed`: the reading
    was received long after it was measured. `evidence` holds the limits, statistics and span that decided.
    """

    pump: int
    condition: Condition
    turn: Turn
    step: int
    position: int
    at_ms: int
    began_ms: int
    received_ms: int
    delayed: bool = False
    evidence: dict[str, float | int | str] = field(default_factory=dict)
