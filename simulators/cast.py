"""Who gets which fault? The cast of a demonstration, chosen so that every fault can be seen on its pump."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from simulators import draws
from simulators.faults import Fault, Kind, Timeline, shows_after_s
from simulators.fleet import Implant

HOUR_S: Final = 3600.0

BOLUS_UL: Final = 30.0
BOLUS_S: Final = 600.0
BOLUS_EVERY_S: Final = 4 * HOUR_S
SHIFT_OVER: Final = 1.40  # true flow, bias included, relative to the program
SHIFT_OVER_GROSS: Final = 2.0
SHIFT_UNDER: Final = 0.62

# As the low-reservoir rule: bias that the estimate allows for, and the limits of its first two steps.
RESERVOIR_BIAS: Final = 0.076
LOW_D, LOW_SHARE = 14.0, 0.25
MEDIUM_D, MEDIUM_SHARE = 5.0, 0.10

# Live faults begin at once and are due within the shortest demonstration.
LIVE_AT_LEAST_S: Final = 45.0
SILENT_FROM_S: Final = 5.0
GAP_FROM_S, GAP_S = 10.0, 10.0
LIVE_STALL_SHOWS_S: Final = -80.0  # judged by the minute, and so told within two minutes of that


@dataclass(frozen=True, slots=True)
class Part:
    """A role to be cast. `before_s` is how long before going live it begins; None: in the live part."""

    kind: Kind
    before_s: float | None
    lasts_s: float | None = None
    sensor: bool | None = None
    drug_class: str | None = None
    program_ml_d: tuple[float, float] = (0.2, 1.0)

    def suits(self, implant: Implant) -> bool:
        low, high = self.program_ml_d
        return (
            self.sensor in {None, implant.sensor}
            and self.drug_class in {None, implant.drug_class}
            and low <= implant.program_ml_d <= high
        )


DEMO: Final = (
    Part(Kind.STALL, 3 * HOUR_S, sensor=False, drug_class="baclofen", program_ml_d=(0.35, 0.8)),
    Part(Kind.OVER_DELIVERY_GROSS, 2 * HOUR_S, sensor=True, drug_class="opioid"),
    Part(Kind.RESERVOIR_LOW, 24 * HOUR_S, sensor=False, program_ml_d=(0.3, 0.7)),
    Part(Kind.SILENCE, None),
    Part(Kind.UNDER_DELIVERY, 18 * HOUR_S, sensor=True, drug_class="baclofen", program_ml_d=(0.3, 1.0)),
    Part(Kind.OVER_DELIVERY, 18 * HOUR_S, sensor=True, program_ml_d=(0.3, 1.0)),
    Part(Kind.UNDER_DELIVERY, 18 * HOUR_S, sensor=False),
    Part(Kind.STALL, 5 * HOUR_S, sensor=True, drug_class="opioid", program_ml_d=(0.35, 0.8)),
    Part(Kind.STALL, None, sensor=False, program_ml_d=(0.35, 0.8)),
    Part(Kind.STALL, 10 * HOUR_S, lasts_s=2 * HOUR_S, sensor=False, program_ml_d=(0.35, 0.8)),
    Part(Kind.SILENCE, None),
    Part(Kind.BOLUS, 14 * HOUR_S, sensor=False),
    Part(Kind.STOPPED, 9 * HOUR_S, sensor=False),
    Part(Kind.REFILL, 6 * HOUR_S),
    Part(Kind.LINK_GAP, None),
)


def cast(faults: str, fleet: Sequence[Implant], seed: int, timeline: Timeline) -> list[Fault]:
    """Choose pumps and times for `demo`, `none` or a list of kinds with commas; raises ValueError for another word.

    A part that no free pump suits, or that does not fit into the time that the fleet runs, is left out.
    """
    parts = parts_of(faults)
    order = np.argsort(draws.uniform(draws.keys_of(seed, np.array([each.number for each in fleet]), "cast"), 0))
    free = [int(index) for index in order]
    chosen: list[Fault] = []
    for part in parts:
        for pump in free:
            acts = _acts(part, pump, fleet[pump], timeline) if part.suits(fleet[pump]) else []
            if acts:
                chosen += acts
                free.remove(pump)
                break
    return chosen


def parts_of(faults: str) -> list[Part]:
    """The parts that a value of `--faults` asks for."""
    if faults == "demo":
        return list(DEMO)
    words = [word.strip() for word in faults.split(",") if word.strip()]
    if words in ([], ["none"]):
        return []
    parts = []
    for word in words:
        if word not in list(Kind):
            raise ValueError(f"no such fault: {word}; known are demo, none, {', '.join(Kind)}")
        parts.append(next(part for part in DEMO if part.kind == word))
    return parts


def with_low_reservoirs(fleet: Sequence[Implant], faults: Sequence[Fault]) -> list[Implant]:
    """The fleet as it begins: pumps that run low have missed their refill."""
    begins = list(fleet)
    for fault in faults:
        if fault.kind is Kind.RESERVOIR_LOW:
            begins[fault.pump] = replace(begins[fault.pump], filled_ml=fault.value)
    return begins


def _acts(part: Part, pump: int, implant: Implant, timeline: Timeline) -> list[Fault]:
    """What the part does on this pump; empty if there is no time for it."""
    live_ms = timeline.live_from_ms
    backlog_s = (live_ms - timeline.start_ms) / 1000
    onset_ms = _live_onset_ms(part, implant, timeline) if part.before_s is None else None
    if part.before_s is not None:
        fits = part.before_s <= backlog_s
        if part.lasts_s is not None and not fits:
            return []
        onset_ms = live_ms - round((part.before_s if fits else 0.8 * backlog_s) * 1000)
    if part.kind is Kind.RESERVOIR_LOW:
        onset_ms = timeline.start_ms
    if onset_ms is None or onset_ms < timeline.start_ms:
        return []
    if part.kind is Kind.BOLUS:
        onsets_ms = range(onset_ms, live_ms, round(BOLUS_EVERY_S * 1000))
        return [Fault(pump, part.kind, each, each + round(BOLUS_S * 1000), BOLUS_UL) for each in onsets_ms]
    lasts_s = {Kind.LINK_GAP: GAP_S, Kind.REFILL: 0.0}.get(part.kind, part.lasts_s)
    end_ms = None if lasts_s is None else onset_ms + round(lasts_s * 1000)
    return [Fault(pump, part.kind, onset_ms, end_ms, _value(part.kind, implant))]


def _live_onset_ms(part: Part, implant: Implant, timeline: Timeline) -> int | None:
    if timeline.live_s < LIVE_AT_LEAST_S:
        return None
    shows_s = shows_after_s(part.kind, implant)
    after_s = {
        Kind.SILENCE: SILENT_FROM_S,
        Kind.LINK_GAP: GAP_FROM_S,
        Kind.STALL: LIVE_STALL_SHOWS_S - shows_s,
    }[part.kind]
    too_slow = part.kind is Kind.SILENCE and after_s + shows_s > timeline.live_s
    # A gap must stay well short of silence.
    too_sparse = part.kind is Kind.LINK_GAP and implant.interval_s > GAP_S / 4
    return None if too_slow or too_sparse else timeline.live_from_ms + round(after_s * 1000)


def _value(kind: Kind, implant: Implant) -> float:
    """What the kind needs: a factor on output or advance, a volume, or nothing (1)."""
    match kind:
        case Kind.UNDER_DELIVERY if not implant.sensor:
            return SHIFT_UNDER
        case Kind.OVER_DELIVERY_GROSS | Kind.OVER_DELIVERY | Kind.UNDER_DELIVERY:
            shifts = {
                Kind.OVER_DELIVERY_GROSS: SHIFT_OVER_GROSS,
                Kind.OVER_DELIVERY: SHIFT_OVER,
                Kind.UNDER_DELIVERY: SHIFT_UNDER,
            }
            return shifts[kind] / (1 + implant.bias)
        case Kind.RESERVOIR_LOW:
            return _low_ml(implant)
        case Kind.REFILL:
            return implant.capacity_ml
        case _:
            return 1.0


def _low_ml(implant: Implant) -> float:
    """A volume halfway between the limits of the first two steps, a day from now: due from the start, and only low."""
    cycle_d = implant.capacity_ml / implant.program_ml_d
    limits_d = min(LOW_D, LOW_SHARE * cycle_d), min(MEDIUM_D, MEDIUM_SHARE * cycle_d)
    left_d = sum(limits_d) / 2 + 1
    reserve_ml = implant.capacity_ml * RESERVOIR_BIAS / (1 + RESERVOIR_BIAS)
    return round(left_d * implant.program_ml_d + reserve_ml, 3)
