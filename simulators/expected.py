"""What should a fault raise, on which model, and what may it raise besides? Named as the service's conditions.

On a rotor pump the flow is counted steps and the reservoir is computed: what happens behind the rotor is not there to
be seen. A sensor pump measures both.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from simulators.faults import Kind


class Shows(NamedTuple):
    """What must be raised on either model (nothing: it cannot be seen), and what follows from the fault without being
    false. `besides_sensor` is what noise or the sensors' view adds.
    """

    rotor: tuple[str, ...]
    sensor: tuple[str, ...]
    besides: tuple[str, ...] = ()
    besides_sensor: tuple[str, ...] = ()


CONDITIONS: Final = (
    *("stall", "stall_flutter", "over_delivery_gross", "over_delivery", "under_delivery_gross", "under_delivery"),
    *("flow_while_stopped", "reservoir_low", "reservoir_empty", "refill_mismatch", "level_deviation"),
    *("battery_low", "battery_end", "battery_reset", "program_unauthorised", "stopped_long", "bolus_cap"),
    *("bolus_denied", "memory_error", "silence", "telemetry_lock", "site_silence", "clock_off", "sequence_gap"),
    "unregistered",
)
NOTHING: Final = Shows((), ())
_STALL: Final = ("stall",)
_TRICKLE: Final = ("under_delivery", "under_delivery_gross", "level_deviation")
_DRAINED: Final = (
    *("over_delivery", "over_delivery_gross", "level_deviation", "reservoir_low", "reservoir_empty"),
    *("stall", "under_delivery", "under_delivery_gross"),
)
_AT_REFILL: Final = ("refill_mismatch",)
_GAP: Final = ("sequence_gap",)

SHOWS: Final[Mapping[Kind, Shows]] = {
    Kind.STALL: Shows(_STALL, _STALL, _AT_REFILL, _TRICKLE),
    Kind.STALL_FLUTTER: Shows(
        ("stall_flutter",), ("stall_flutter",), ("stall", "under_delivery", *_AT_REFILL), _TRICKLE
    ),
    Kind.MRI_LATE: Shows(_STALL, _STALL, _AT_REFILL, _TRICKLE),
    Kind.TELEMETRY_LOCK: Shows(
        ("stall", "telemetry_lock"), ("stall", "telemetry_lock"), ("silence", *_AT_REFILL), _TRICKLE
    ),
    Kind.OVER_INFUSION: Shows((), ("over_delivery",), _AT_REFILL, _DRAINED),
    Kind.OVER_DELIVERY: Shows((), ("over_delivery",), _AT_REFILL, _DRAINED),
    Kind.OVER_DELIVERY_GROSS: Shows((), ("over_delivery_gross",), _AT_REFILL, _DRAINED),
    Kind.FREE_FLOW: Shows((), ("over_delivery_gross",), _AT_REFILL, _DRAINED),
    Kind.EARLY_EMPTY: Shows((), ("over_delivery_gross", "reservoir_empty"), _AT_REFILL, _DRAINED),
    Kind.UNDER_DELIVERY: Shows(
        ("under_delivery",), ("under_delivery",), ("under_delivery_gross", *_AT_REFILL), ("stall", "level_deviation")
    ),
    Kind.OCCLUSION_PARTIAL: Shows((), ("under_delivery",), _AT_REFILL, ("stall", *_TRICKLE)),
    Kind.OCCLUSION: Shows((), _STALL, _AT_REFILL, _TRICKLE),
    Kind.CATHETER_LEAK: NOTHING,
    Kind.POCKET_FILL: Shows((), _AT_REFILL, _AT_REFILL, _DRAINED),
    Kind.RESERVOIR_LOW: Shows(("reservoir_low",), ("reservoir_low",), ("reservoir_empty",), _DRAINED),
    Kind.RESERVOIR_EMPTY: Shows(
        ("reservoir_low", "reservoir_empty"), ("reservoir_low", "reservoir_empty"), _AT_REFILL, _DRAINED
    ),
    Kind.BATTERY_EARLY: Shows(
        ("battery_low",), ("battery_low",), ("battery_end", "battery_reset", "stall"), ("flow_while_stopped", *_TRICKLE)
    ),
    Kind.BATTERY_RESET: Shows(("battery_reset",), ("battery_reset",), ("program_unauthorised", "clock_off")),
    Kind.PROGRAM_UNAUTHORISED: Shows(("program_unauthorised",), ("program_unauthorised",), _AT_REFILL),
    Kind.BOLUS_CAP: Shows(("bolus_cap",), ("bolus_cap",)),
    Kind.BOLUS_DENIED: Shows(("bolus_denied",), ("bolus_denied",)),
    Kind.STOPPED_LONG: Shows(("stopped_long",), ("stopped_long",)),
    Kind.FLOW_WHILE_STOPPED: Shows(
        (), ("flow_while_stopped",), ("stopped_long", *_AT_REFILL), ("over_delivery_gross", "level_deviation")
    ),
    Kind.MEMORY_ERROR: Shows(("memory_error",), ("memory_error",)),
    Kind.CLOCK_JUMP: Shows(("clock_off",), ("clock_off",)),
    Kind.SILENCE: Shows(("silence",), ("silence",)),
    Kind.SITE_OUTAGE: Shows(("site_silence",), ("site_silence",), ("silence",)),
    Kind.CORRUPTED: Shows(_GAP, _GAP, ("silence",)),
    Kind.LOST: Shows(_GAP, _GAP, ("silence",)),
    Kind.REORDER: Shows((), (), _GAP),
    Kind.MRI: Shows((), (), _STALL),
}


def shown(kind: Kind, *, sensor: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what must be raised, what may be raised besides) on a pump of this model."""
    shows = SHOWS.get(kind, NOTHING)
    must = shows.sensor if sensor else shows.rotor
    may = (*shows.besides, *(shows.besides_sensor if sensor else ()))
    return must, tuple(dict.fromkeys(each for each in may if each not in must))
