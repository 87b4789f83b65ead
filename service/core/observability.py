"""Which condition can a pump of this model show at all? One table, for the verdicts and for docs/rules.md."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from service.core.change import NOT_OF_A_PUMP, Condition


class Needs(StrEnum):
    """Without it the condition is not available."""

    NOTHING = "nothing"
    FLOW_SENSOR = "a flow sensor"
    LEVEL_SENSOR = "a level sensor"
    BOLUS_CAP = "a bolus cap in the registry"


class Seen(NamedTuple):
    """What shows it where the flow is a rotor's count and the level computed, and where both are measured.

    `while_programmed`: nothing is known of it while nothing is programmed.
    """

    needs: Needs
    counted: str
    measured: str
    while_programmed: bool = False


_BY_EVENT: Final = "yes, by its event"
_NOTHING, _FLOW, _LEVEL, _CAP = Needs.NOTHING, Needs.FLOW_SENSOR, Needs.LEVEL_SENSOR, Needs.BOLUS_CAP

SEEN: Final[dict[Condition, Seen]] = {
    Condition.STALL: Seen(_NOTHING, "rotor stands still", "no flow: also an occlusion", while_programmed=True),
    Condition.STALL_FLUTTER: Seen(_NOTHING, "short stops", "stops of five minutes", while_programmed=True),
    Condition.OVER_DELIVERY_GROSS: Seen(_FLOW, "no", "yes", while_programmed=True),
    Condition.OVER_DELIVERY: Seen(_FLOW, "no", "yes", while_programmed=True),
    Condition.UNDER_DELIVERY_GROSS: Seen(_NOTHING, "missed steps only", "yes", while_programmed=True),
    Condition.UNDER_DELIVERY: Seen(_NOTHING, "missed steps only", "yes", while_programmed=True),
    Condition.FLOW_WHILE_STOPPED: Seen(_NOTHING, "a turning rotor only", "yes"),
    Condition.RESERVOIR_LOW: Seen(_NOTHING, "as computed: not what over-infusion took", "yes"),
    Condition.RESERVOIR_EMPTY: Seen(_NOTHING, "as computed: not what over-infusion took", "yes"),
    Condition.REFILL_MISMATCH: Seen(
        _NOTHING, "at the visit; a pocket fill only at the next", "at the visit; a pocket fill within minutes"
    ),
    Condition.LEVEL_DEVIATION: Seen(_LEVEL, "no", "yes: with a rotor over-infusion and occlusion"),
    Condition.BATTERY_LOW: Seen(_NOTHING, "voltage; age if implanted_on is known", "the same"),
    Condition.BATTERY_END: Seen(_NOTHING, "its alarm; age; no flow past service", "the same"),
    Condition.BATTERY_RESET: Seen(_NOTHING, "its alarm, or the minimum rate", "the same"),
    Condition.PROGRAM_UNAUTHORISED: Seen(_NOTHING, _BY_EVENT, _BY_EVENT),
    Condition.STOPPED_LONG: Seen(_NOTHING, "yes", "yes"),
    Condition.BOLUS_CAP: Seen(_CAP, _BY_EVENT, _BY_EVENT),
    Condition.BOLUS_DENIED: Seen(_CAP, _BY_EVENT, _BY_EVENT),
    Condition.MEMORY_ERROR: Seen(_NOTHING, _BY_EVENT, _BY_EVENT),
}
"""The conditions that a pump's own readings and events show. The rest is judged from when and how they arrive."""


def is_available(condition: Condition, *, flow_channel: str, reservoir_channel: str, bolus_cap: bool) -> bool:
    """Whether any channel of such a pump could ever show the condition."""
    has = {
        Needs.NOTHING: True,
        Needs.FLOW_SENSOR: flow_channel == "sensor",
        Needs.LEVEL_SENSOR: reservoir_channel == "sensor",
        Needs.BOLUS_CAP: bolus_cap,
    }
    return condition not in SEEN or has[SEEN[condition].needs]


def matrix() -> Iterator[str]:
    """The lines of the table in docs/rules.md."""
    yield "| condition | not available without | rotor, computed level | flow and level sensor |"
    yield "|---|---|---|---|"
    for condition in Condition:
        if condition in SEEN:
            needs, counted, measured, _ = SEEN[condition]
            yield f"| `{condition}` | {'' if needs is Needs.NOTHING else needs} | {counted} | {measured} |"
        elif condition not in NOT_OF_A_PUMP:
            yield f"| `{condition}` | | from when and how messages arrive | the same |"
