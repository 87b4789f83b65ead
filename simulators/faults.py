"""What can go wrong with a pump, what does that change, and what must be noticed? Faults, decoys and their labels."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from simulators import wire
from simulators.fleet import Implant
from simulators.pump import UL_A_SECOND_AT_ONE_ML_D, Demand, Pumps

# What the service promises to notice, in pump time.
# Said here on its own: labels that asked the rules would agree with them.
STALL_MISSED_UL: Final = 10.0
STALL_AT_LEAST_S: Final = 20 * 60.0
GROSS_READINGS: Final = 3
SHIFT_DUE_S: Final = 5 * 3600.0  # the rest of an hour, three hourly samples, and one in hand
SILENT_INTERVALS: Final = 3
SILENT_AT_LEAST_S: Final = 20.0
SILENCE_IN_HAND_S: Final = 5.0


class Kind(StrEnum):
    """The first six are faults and named as the condition that they raise; the others must raise nothing."""

    STALL = "stall"
    OVER_DELIVERY_GROSS = "over_delivery_gross"
    OVER_DELIVERY = "over_delivery"
    UNDER_DELIVERY = "under_delivery"
    RESERVOIR_LOW = "reservoir_low"
    SILENCE = "silence"
    BOLUS = "bolus"
    STOPPED = "stopped"
    LINK_GAP = "link_gap"
    REFILL = "refill"


DECOYS: Final = frozenset({Kind.BOLUS, Kind.STOPPED, Kind.LINK_GAP, Kind.REFILL})
ON_THE_LINK: Final = frozenset({Kind.SILENCE, Kind.LINK_GAP})

# What noise, or a shift that is large enough for two rules, may raise besides.
ALLOWED: Final = {
    Kind.OVER_DELIVERY_GROSS: ("over_delivery",),
    Kind.OVER_DELIVERY: ("over_delivery_gross",),
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

    def spacing_ms_at(self, at_ms: float) -> int:
        return self.backlog_spacing_ms if at_ms < self.live_from_ms else self.live_spacing_ms


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault or decoy of one pump, in pump time. `value` is what its kind needs: see `touch` and `start`."""

    pump: int  # index in the fleet
    kind: Kind
    onset_ms: int
    end_ms: int | None = None
    value: float = 1.0

    def share_of(self, from_ms: int, to_ms: int) -> float:
        """How much of the span this fault is on: 0 … 1."""
        until_ms = to_ms if self.end_ms is None else min(self.end_ms, to_ms)
        return max(until_ms - max(self.onset_ms, from_ms), 0) / (to_ms - from_ms)

    def over_by(self, at_ms: int) -> bool:
        return self.end_ms is not None and self.end_ms <= at_ms


class Label(msgspec.Struct, frozen=True):
    """What was injected into one pump: docs/simulators.md says what each field means."""

    pump_id: str
    fault: str
    onset_ms: int
    end_ms: int | None
    due_ms: int | None
    expected: list[str] = msgspec.field(default_factory=list)
    allowed: list[str] = msgspec.field(default_factory=list)
    announced: bool = False


def touch(fault: Fault, implant: Implant, demand: Demand, from_ms: int, to_ms: int) -> None:
    """Change what is asked of the fault's pump, or how it answers, over the span from `from_ms` to `to_ms`."""
    share = fault.share_of(from_ms, to_ms)
    if share == 0:
        return
    pump = fault.pump
    match fault.kind:
        case Kind.STALL:
            demand.advance[pump] *= 1 - share
        case Kind.UNDER_DELIVERY if not implant.sensor:  # the rotor counts only the steps that it makes
            demand.advance[pump] *= 1 - share * (1 - fault.value)
        case Kind.OVER_DELIVERY_GROSS | Kind.OVER_DELIVERY | Kind.UNDER_DELIVERY:
            demand.output[pump] *= 1 - share * (1 - fault.value)
        case Kind.STOPPED:
            demand.program_ml_d[pump] *= 1 - share
            if not fault.over_by(to_ms):
                demand.mode[pump] = wire.STOPPED
        case Kind.BOLUS:
            demand.program_ml_d[pump] += share * _bolus_ml_d(fault)
            demand.mode[pump] = wire.BOLUS


def events_of(fault: Fault, implant: Implant, pumps: Pumps, from_ms: int, to_ms: int) -> list[wire.Event]:
    """Return what the pump says about the fault or decoy in the span; a refill is carried out here."""
    begins = from_ms < fault.onset_ms <= to_ms
    end_ms = fault.end_ms
    ends = end_ms is not None and from_ms < end_ms <= to_ms
    events = []
    if begins and fault.kind is Kind.STOPPED:
        events.append(wire.Event(fault.onset_ms, "program_changed", {"program_ml_d": 0.0, "mode": "stopped"}))
    if begins and fault.kind is Kind.BOLUS:
        events.append(wire.Event(fault.onset_ms, "bolus_requested", {"dose_ul": fault.value}))
    if begins and fault.kind is Kind.REFILL:
        aspirated_ml, expected_ml = pumps.refill(fault.pump, fault.value)
        fields = {"reservoir_after_ml": fault.value, "aspirated_ml": aspirated_ml, "expected_ml": expected_ml}
        events.append(wire.Event(fault.onset_ms, "refill", dict(fields)))
    if end_ms is not None and ends and fault.kind is Kind.STOPPED:
        resumed = {"program_ml_d": implant.program_ml_d, "mode": "running"}
        events.append(wire.Event(end_ms, "program_changed", dict(resumed)))
    if end_ms is not None and ends and fault.kind is Kind.BOLUS:
        given = {"dose_ul": fault.value, "duration_s": (end_ms - fault.onset_ms) / 1000}
        events.append(wire.Event(end_ms, "bolus_delivered", dict(given)))
    return events


def labels_of(faults: list[Fault], fleet: list[Implant], timeline: Timeline) -> list[Label]:
    """One label a pump, in order of onset. Several boluses of a pump are one decoy."""
    of_pump: dict[int, list[Fault]] = {}
    for fault in sorted(faults, key=lambda each: (each.onset_ms, each.pump)):
        of_pump.setdefault(fault.pump, []).append(fault)
    return [_label(several, fleet[pump], timeline) for pump, several in of_pump.items()]


def shows_after_s(kind: Kind, implant: Implant) -> float:
    """How long after its onset a fault shows in the telemetry, at the pump's basal program and without noise."""
    if kind is Kind.STALL:
        return max(STALL_AT_LEAST_S, STALL_MISSED_UL / (implant.program_ml_d * UL_A_SECOND_AT_ONE_ML_D))
    if kind is Kind.SILENCE:
        return max(SILENT_AT_LEAST_S, SILENT_INTERVALS * implant.interval_s) + SILENCE_IN_HAND_S
    if kind in {Kind.OVER_DELIVERY, Kind.UNDER_DELIVERY}:
        return SHIFT_DUE_S
    return 0.0


def _label(faults: list[Fault], implant: Implant, timeline: Timeline) -> Label:
    first, last = faults[0], faults[-1]
    if first.kind in DECOYS:
        return Label(implant.pump_id, first.kind, first.onset_ms, last.end_ms, None)
    shows_ms = first.onset_ms + round(shows_after_s(first.kind, implant) * 1000)
    readings = {Kind.STALL: 2, Kind.OVER_DELIVERY_GROSS: GROSS_READINGS + 2, Kind.RESERVOIR_LOW: 1}.get(first.kind, 0)
    # The service judges by the minute, however often a pump reports.
    spacing_ms = max(timeline.spacing_ms_at(shows_ms), 60_000)
    due_ms = shows_ms + readings * spacing_ms
    allowed = ALLOWED.get(first.kind, ())
    if first.kind is Kind.STALL and implant.sensor:  # noise above a quarter of the program counts as a trickle
        allowed = ("under_delivery",)
    return Label(
        implant.pump_id,
        first.kind,
        first.onset_ms,
        first.end_ms,
        due_ms if first.end_ms is None or due_ms <= first.end_ms else None,
        expected=[first.kind],
        allowed=list(allowed),
        announced=not first.over_by(timeline.live_from_ms),
    )


def _bolus_ml_d(fault: Fault) -> float:
    if fault.end_ms is None:
        raise ValueError("a bolus has an end")
    return fault.value / ((fault.end_ms - fault.onset_ms) / 1000 * UL_A_SECOND_AT_ONE_ML_D)
