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
    CONFLICTING_READINGS = "conflicting_readings"
    REPEATING = "repeating"
    NOT_WATCHING = "not_watching"  # of the service: a shard is not caught up
    BROKER_SESSION_LOST = "broker_session_lost"  # of the service
    ESCALATION_BROKEN = "escalation_broken"  # of the service: an alert may reach nobody
    STORAGE_UNAVAILABLE = "storage_unavailable"  # of the service, like all that follow but the last
    BROKER_UNAVAILABLE = "broker_unavailable"
    BROKER_DROPPING = "broker_dropping"
    BROKER_DEGRADED = "broker_degraded"
    INGEST_LAGGING = "ingest_lagging"
    ROLE_SILENT = "role_silent"
    DELIVERY_GIVEN_UP = "delivery_given_up"
    ENDPOINT_FAILING = "endpoint_failing"
    ENDPOINT_DISABLED = "endpoint_disabled"
    CANARY_LOST = "canary_lost"
    DRILL = "drill"  # nothing is wrong: for practice


class Kind(StrEnum):
    """Physiological: the patient's therapy is touched. Technical: we cannot see, or cannot tell."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


OF_THE_SERVICE: Final = frozenset(
    {
        Condition.NOT_WATCHING,
        Condition.BROKER_SESSION_LOST,
        Condition.ESCALATION_BROKEN,
        Condition.STORAGE_UNAVAILABLE,
        Condition.BROKER_UNAVAILABLE,
        Condition.BROKER_DROPPING,
        Condition.BROKER_DEGRADED,
        Condition.INGEST_LAGGING,
        Condition.ROLE_SILENT,
        Condition.DELIVERY_GIVEN_UP,
        Condition.ENDPOINT_FAILING,
        Condition.ENDPOINT_DISABLED,
        Condition.CANARY_LOST,
    }
)
"""What can be wrong with our own way from a pump to a person."""

NOT_OF_A_PUMP: Final = OF_THE_SERVICE | {Condition.SITE_SILENCE, Condition.DRILL}
"""Conditions of a site or of the service."""

NEVER_LATCHES: Final = OF_THE_SERVICE | {Condition.DRILL}
"""Once over, there is nothing that a person has yet to look after at a patient's."""

KINDS: dict[Condition, Kind] = {
    condition: Kind.TECHNICAL
    if condition in NOT_OF_A_PUMP
    or condition
    in {
        Condition.SILENCE,
        Condition.SEQUENCE_GAP,
        Condition.CLOCK_OFF,
        Condition.UNREGISTERED,
        Condition.IMPLAUSIBLE_BOOT,
        Condition.CONFLICTING_READINGS,
        Condition.REPEATING,
    }
    else Kind.PHYSIOLOGICAL
    for condition in Condition
}


WATCHED: Final = frozenset(
    {
        Condition.SILENCE,
        Condition.TELEMETRY_LOCK,
        Condition.SEQUENCE_GAP,
        Condition.IMPLAUSIBLE_BOOT,
        Condition.CONFLICTING_READINGS,
        Condition.REPEATING,
        Condition.UNREGISTERED,
    }
)
"""Decided from what is absent, so no reading names their turns: a second turn at one position is not a replay."""


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
