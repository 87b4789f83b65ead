"""Which faults and decoys are there, how is each asked for, and when is one at work? Names, values, durations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from simulators.fleet import Implant

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MRI_MS: Final = 40 * MINUTE_MS  # how long a scan takes where nobody says otherwise


class Kind(StrEnum):
    """Faults of the pump, what can happen between pump and service, and decoys, which must raise nothing."""

    STALL = "stall"
    STALL_FLUTTER = "stall_flutter"
    MRI_LATE = "mri_late"
    TELEMETRY_LOCK = "telemetry_lock"
    OVER_INFUSION = "over_infusion"
    OVER_DELIVERY = "over_delivery"
    OVER_DELIVERY_GROSS = "over_delivery_gross"
    FREE_FLOW = "free_flow"
    EARLY_EMPTY = "early_empty"
    UNDER_DELIVERY = "under_delivery"
    OCCLUSION_PARTIAL = "occlusion_partial"
    OCCLUSION = "occlusion"
    CATHETER_LEAK = "catheter_leak"
    POCKET_FILL = "pocket_fill"
    RESERVOIR_LOW = "reservoir_low"
    RESERVOIR_EMPTY = "reservoir_empty"
    BATTERY_EARLY = "battery_early"
    BATTERY_RESET = "battery_reset"
    PROGRAM_UNAUTHORISED = "program_unauthorised"
    BOLUS_CAP = "bolus_cap"
    BOLUS_DENIED = "bolus_denied"
    STOPPED_LONG = "stopped_long"
    FLOW_WHILE_STOPPED = "flow_while_stopped"
    MEMORY_ERROR = "memory_error"
    CLOCK_JUMP = "clock_jump"

    SILENCE = "silence"
    SITE_OUTAGE = "site_outage"
    CORRUPTED = "corrupted"
    LOST = "lost"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    REPLAY = "replay"
    REBOOT = "reboot"

    BOLUS = "bolus"
    STOPPED = "stopped"
    LINK_GAP = "link_gap"
    REFILL = "refill"
    MRI = "mri"
    FLEX = "flex"
    SINGLE_BOLUS = "single_bolus"
    PRIMING = "priming"
    BRIDGE = "bridge"
    CLOCK_DRIFT = "clock_drift"


DECOYS: Final = frozenset(
    {
        *(Kind.BOLUS, Kind.STOPPED, Kind.LINK_GAP, Kind.REFILL, Kind.MRI, Kind.FLEX, Kind.SINGLE_BOLUS),
        *(Kind.PRIMING, Kind.BRIDGE, Kind.CLOCK_DRIFT, Kind.DUPLICATE, Kind.REORDER, Kind.REPLAY, Kind.REBOOT),
    }
)
UNHEARD: Final = frozenset({Kind.SILENCE, Kind.SITE_OUTAGE, Kind.LINK_GAP})
"""The pump goes on measuring; a fleet that is live lets these happen by taking the pump off its connection."""

MISSED_REFILLS: Final = frozenset({Kind.RESERVOIR_LOW, Kind.RESERVOIR_EMPTY})
"""The pump begins with what a missed refill has left."""

ON_THE_WAY: Final = UNHEARD | {Kind.DUPLICATE, Kind.REORDER, Kind.REPLAY}
"""What happens to messages after the pump has made them."""


class Trait(NamedTuple):
    """How a kind is asked for. `unit` of its value; `lasts_ms` unless said otherwise: None for good, 0 a moment."""

    unit: str
    value: float
    low: float
    high: float
    lasts_ms: int | None


_NO_VALUE: Final = ("", 1.0, 1.0, 1.0)

TRAITS: Final[Mapping[Kind, Trait]] = {
    Kind.STALL: Trait(*_NO_VALUE, None),
    Kind.STALL_FLUTTER: Trait(*_NO_VALUE, None),
    Kind.MRI_LATE: Trait("h", 6.0, 2.0, 24.0, None),
    Kind.TELEMETRY_LOCK: Trait(*_NO_VALUE, None),
    Kind.OVER_INFUSION: Trait("%/month", 0.03, 0.001, 100.0, None),
    Kind.OVER_DELIVERY: Trait("%", 1.40, 1.01, 5.0, None),
    Kind.OVER_DELIVERY_GROSS: Trait("%", 2.0, 1.3, 20.0, None),
    Kind.FREE_FLOW: Trait("mL", 3.0, 0.1, 40.0, 30 * MINUTE_MS),
    Kind.EARLY_EMPTY: Trait(*_NO_VALUE, DAY_MS),
    Kind.UNDER_DELIVERY: Trait("%", 0.62, 0.3, 0.99, None),
    Kind.OCCLUSION_PARTIAL: Trait("%", 0.5, 0.3, 0.99, None),
    Kind.OCCLUSION: Trait(*_NO_VALUE, None),
    Kind.CATHETER_LEAK: Trait("%", 0.8, 0.01, 1.0, None),
    Kind.POCKET_FILL: Trait("%", 0.8, 0.3, 1.0, 0),
    Kind.RESERVOIR_LOW: Trait("mL", 3.0, 0.0, 40.0, None),
    Kind.RESERVOIR_EMPTY: Trait("mL", 0.2, 0.0, 40.0, None),
    Kind.BATTERY_EARLY: Trait("x", 500.0, 2.0, 100_000.0, None),
    Kind.BATTERY_RESET: Trait(*_NO_VALUE, None),
    Kind.PROGRAM_UNAUTHORISED: Trait("mL/d", 1.5, 0.0, 24.0, None),
    Kind.BOLUS_CAP: Trait("%", 1.5, 1.05, 5.0, 3 * HOUR_MS),
    Kind.BOLUS_DENIED: Trait("x", 5.0, 1.0, 50.0, 3 * HOUR_MS),
    Kind.STOPPED_LONG: Trait(*_NO_VALUE, None),
    Kind.FLOW_WHILE_STOPPED: Trait("mL/d", 0.4, 0.05, 24.0, None),
    Kind.MEMORY_ERROR: Trait(*_NO_VALUE, None),
    Kind.CLOCK_JUMP: Trait("h", 2.0, -600_000.0, 10_000.0, None),
    Kind.SILENCE: Trait(*_NO_VALUE, None),
    Kind.SITE_OUTAGE: Trait(*_NO_VALUE, None),
    Kind.CORRUPTED: Trait(*_NO_VALUE, 10 * MINUTE_MS),
    Kind.LOST: Trait(*_NO_VALUE, 30 * MINUTE_MS),
    Kind.DUPLICATE: Trait(*_NO_VALUE, 6 * HOUR_MS),
    Kind.REORDER: Trait(*_NO_VALUE, 6 * HOUR_MS),
    Kind.REPLAY: Trait(*_NO_VALUE, HOUR_MS),
    Kind.REBOOT: Trait(*_NO_VALUE, 0),
    Kind.BOLUS: Trait("uL", 30.0, 0.1, 1000.0, 10 * MINUTE_MS),
    Kind.STOPPED: Trait(*_NO_VALUE, 6 * HOUR_MS),
    Kind.LINK_GAP: Trait(*_NO_VALUE, 10_000),
    Kind.REFILL: Trait("mL", 20.0, 1.0, 40.0, 0),
    Kind.MRI: Trait(*_NO_VALUE, MRI_MS),
    Kind.FLEX: Trait("%", 1.5, 1.05, 3.0, None),
    Kind.SINGLE_BOLUS: Trait("uL", 50.0, 1.0, 1000.0, 8 * HOUR_MS),
    Kind.PRIMING: Trait("uL", 200.0, 1.0, 1000.0, 30 * MINUTE_MS),
    Kind.BRIDGE: Trait("%", 0.6, 0.05, 5.0, 24 * HOUR_MS),
    Kind.CLOCK_DRIFT: Trait("ppm", 50.0, -500.0, 500.0, None),
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the fleet measures: a backlog of `backlog_steps` readings from `start_ms`, then live."""

    start_ms: int
    backlog_spacing_ms: int
    backlog_steps: int
    live_spacing_ms: int
    live_s: float = 0.0

    @property
    def live_from_ms(self) -> int:
        return self.start_ms + self.backlog_spacing_ms * self.backlog_steps

    @property
    def end_ms(self) -> int:
        return self.live_from_ms + round(self.live_s * 1000)

    def spacing_ms_at(self, at_ms: float) -> int:
        return self.backlog_spacing_ms if at_ms < self.live_from_ms else self.live_spacing_ms


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault or decoy of one pump, in true time. `value` is what its kind needs, as `TRAITS` and `touch` have it."""

    pump: int  # index in the fleet
    kind: Kind
    onset_ms: int
    end_ms: int | None = None
    value: float = 1.0

    def is_on(self, at_ms: int) -> bool:
        return self.onset_ms <= at_ms and not self.over_by(at_ms)

    def over_by(self, at_ms: int) -> bool:
        return self.end_ms is not None and self.end_ms <= at_ms


def of_whole_sites(faults: Iterable[Fault], fleet: Sequence[Implant]) -> list[Fault]:
    """The faults with an outage for every pump of its site."""
    spread: dict[tuple[int, int], Fault] = {}
    others = []
    for fault in faults:
        if fault.kind is not Kind.SITE_OUTAGE:
            others.append(fault)
            continue
        site = fleet[fault.pump].site
        for pump, implant in enumerate(fleet):
            if implant.site == site:
                spread.setdefault((pump, fault.onset_ms), replace(fault, pump=pump))
    return [*others, *spread.values()]


def fault_named(
    name: str, pump: int, onset_ms: int, for_ms: int | None, value: float | None, implant: Implant
) -> Fault:
    """The fault or decoy called `name` on one pump; raises ValueError, in words, for what cannot be.

    `for_ms` None: as long as is usual for its kind. `value` None likewise; shares of the program are true flow, the
    pump's own bias included.
    """
    if name not in list(Kind):
        raise ValueError(f"no such fault: {name}; known are {', '.join(Kind)}")
    kind = Kind(name)
    trait = TRAITS[kind]
    if for_ms is not None and (for_ms <= 0 or trait.lasts_ms == 0):
        raise ValueError(f"{name} happens in a moment: it has no duration" if trait.lasts_ms == 0 else "no duration")
    if value is not None and not trait.unit:
        raise ValueError(f"{name} takes no value")
    if value is not None and not trait.low <= value <= trait.high:
        raise ValueError(f"{name} takes a value from {said(trait.low, trait.unit)} to {said(trait.high, trait.unit)}")
    if kind in {Kind.BOLUS_CAP, Kind.BOLUS_DENIED} and not implant.bolus_daily_cap_ul:
        raise ValueError(f"{implant.pump_id} has no patient boluses")
    lasts_ms = trait.lasts_ms if for_ms is None else for_ms
    if kind is Kind.MRI_LATE and for_ms is None:
        lasts_ms = MRI_MS + round((trait.value if value is None else value) * HOUR_MS)
    end_ms = None if lasts_ms is None else onset_ms + lasts_ms
    asked = _usual_value(kind, implant) if value is None else value
    return Fault(pump, kind, onset_ms, end_ms, _as_needed(kind, asked, implant))


def length_ms(fault: Fault) -> int:
    if fault.end_ms is None:
        raise ValueError(f"{fault.kind} has an end")
    return fault.end_ms - fault.onset_ms


def said(value: float, unit: str) -> str:
    """A value as a person writes it: shares of one as per cent."""
    return f"{value * 100:g} {unit}" if unit.startswith("%") else f"{value:g} {unit}".strip()


def _usual_value(kind: Kind, implant: Implant) -> float:
    match kind:
        case Kind.REFILL:
            return implant.capacity_ml
        case Kind.RESERVOIR_LOW:
            return low_ml(implant)
        case Kind.PROGRAM_UNAUTHORISED:
            return round(2 * implant.program_ml_d, 3)
        case Kind.BOLUS if implant.bolus_daily_cap_ul:
            return round(implant.bolus_daily_cap_ul / 8, 2)
        case _:
            return TRAITS[kind].value


def _as_needed(kind: Kind, asked: float, implant: Implant) -> float:
    """The factor on what a step delivers: the bias is in the program's share, and not in the factor."""
    through_output = kind in {Kind.OVER_DELIVERY, Kind.OVER_DELIVERY_GROSS, Kind.OCCLUSION_PARTIAL}
    if through_output or (kind is Kind.UNDER_DELIVERY and implant.sensor):
        return asked / (1 + implant.bias)
    return asked


# As the low-reservoir rule: bias that the estimate allows for, and the limits of its first two steps.
RESERVOIR_BIAS: Final = 0.076
LOW_D, LOW_SHARE = 14.0, 0.25
MEDIUM_D, MEDIUM_SHARE = 5.0, 0.10


def low_ml(implant: Implant) -> float:
    """A volume halfway between the limits of the first two steps, a day from now: due from the start, and only low."""
    cycle_d = implant.capacity_ml / implant.program_ml_d
    limits_d = min(LOW_D, LOW_SHARE * cycle_d), min(MEDIUM_D, MEDIUM_SHARE * cycle_d)
    left_d = sum(limits_d) / 2 + 1
    reserve_ml = implant.capacity_ml * RESERVOIR_BIAS / (1 + RESERVOIR_BIAS)
    return round(left_d * implant.program_ml_d + reserve_ml, 3)
