"""What did the rules find? A condition of one pump began, rose or ended, at one reading."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID


class Condition(StrEnum):
    """What can be wrong with a pump. The strings are those of the rulebook, the database, the API and the webhooks."""

    STALL = "stall"  # step 1 while an MRI explains it, else step 2
    STALL_FLUTTER = "stall_flutter"
    OVER_DELIVERY_GROSS = "over_delivery_gross"
    OVER_DELIVERY = "over_delivery"
    UNDER_DELIVERY_GROSS = "under_delivery_gross"
    UNDER_DELIVERY = "under_delivery"
    FLOW_WHILE_STOPPED = "flow_while_stopped"
    RESERVOIR_LOW = "reservoir_low"  # steps 1 to 3: sooner and sooner
    RESERVOIR_EMPTY = "reservoir_empty"
    REFILL_MISMATCH = "refill_mismatch"  # step 2: the refill may have gone beside the pump
    LEVEL_DEVIATION = "level_deviation"
    BATTERY_LOW = "battery_low"  # steps 1 to 3: nearer and nearer to the end of service
    BATTERY_END = "battery_end"
    BATTERY_RESET = "battery_reset"
    PROGRAM_UNAUTHORISED = "program_unauthorised"
    STOPPED_LONG = "stopped_long"  # step 2: after twice as long
    BOLUS_CAP = "bolus_cap"
    BOLUS_DENIED = "bolus_denied"
    MEMORY_ERROR = "memory_error"
    SILENCE = "silence"  # steps 1 to 3: longer and longer
    TELEMETRY_LOCK = "telemetry_lock"
    SITE_SILENCE = "site_silence"
    SEQUENCE_GAP = "sequence_gap"
    CLOCK_OFF = "clock_off"
    UNREGISTERED = "unregistered"
    IMPLAUSIBLE_BOOT = "implausible_boot"
    NOT_WATCHING = "not_watching"  # of the service: a shard is not caught up
    BROKER_SESSION_LOST = "broker_session_lost"  # of the service
    ESCALATION_BROKEN = "escalation_broken"  # of the service: an alert may reach nobody


class Kind(StrEnum):
    """Physiological: the patient's therapy is touched. Technical: we cannot see, or cannot tell."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


KINDS: dict[Condition, Kind] = {
    condition: Kind.TECHNICAL
    if condition
    in {
        Condition.SILENCE,
        Condition.SITE_SILENCE,
        Condition.SEQUENCE_GAP,
        Condition.CLOCK_OFF,
        Condition.UNREGISTERED,
        Condition.IMPLAUSIBLE_BOOT,
        Condition.NOT_WATCHING,
        Condition.BROKER_SESSION_LOST,
        Condition.ESCALATION_BROKEN,
    }
    else Kind.PHYSIOLOGICAL
    for condition in Condition
}

NOT_OF_A_PUMP: Final = frozenset(
    {
        Condition.SITE_SILENCE,
        Condition.NOT_WATCHING,
        Condition.BROKER_SESSION_LOST,
        Condition.ESCALATION_BROKEN,
    }
)
"""Conditions of a site or of the service."""


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


class Standing(StrEnum):
    """What becomes of a condition once the rules have found it."""

    TOLD = "told"
    SHADOW = "shadow"  # recorded, never announced
    OFF = "off"


class Ruled(NamedTuple):
    """What the rules that were in force for the pump at this turn say of it."""

    rulebook_version: str
    priority: Priority
    standing: Standing


@dataclass(frozen=True, slots=True)
class Change:
    """One turn of one condition on one pump, on a site or on the service itself.

    `pump` is the pump's row number in the database; NO_PUMP where `subject` names a site or a part of the service.
    `position` is the reading (or, for silence, the last one heard) that caused the turn; the pair (pump, condition)
    turns at most once at a position, so a turn replayed is recognised. What no reading causes has a time as position.
    `at_ms` is pump time of that reading, `began_ms` pump time of the onset, `received_ms` our time of its arrival.
    `step` is 1 for most conditions, 1 to 3 for those with a ladder of limits (reservoir). `delayed`: the reading
    was received long after it was measured. `evidence` holds the limits, statistics and span that decided. `ruled`:
    None where the rulebook in force now has the say.
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
    ruled: Ruled | None = None
    subject: str = ""  # of what is no pump: core/subject.py
    hold_s: float = 0.0  # nobody is told before this is over
    inhibited_by: UUID | None = None  # the alert that tells of it as well: nobody is told of this one
