"""Who gets which fault? The cast of a demonstration, and of a score, so that every fault can be seen on its pump."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from simulators import draws
from simulators.expected import shown
from simulators.faults import DAY_MS, DECOYS, Fault, Kind, Timeline, fault_named, low_ml
from simulators.fleet import SENSOR_SHARE, Implant
from simulators.hazards import drawn
from simulators.labels import shows_after_ms

HOUR_S: Final = 3600.0

BOLUS_UL: Final = 30.0  # where no patient may ask for any
BOLUSES_A_CAP: Final = 8
BOLUS_S: Final = 600.0
BOLUS_EVERY_S: Final = 4 * HOUR_S
SHIFT_OVER: Final = 1.40  # true flow, bias included, relative to the program
SHIFT_OVER_GROSS: Final = 2.0
SHIFT_UNDER: Final = 0.62

EACH_FROM, EACH_UNTIL = 0.08, 0.4  # of the run: when the faults of `each:N` begin
HURRIED: Final = {Kind.OVER_INFUSION: 30.0, Kind.BATTERY_EARLY: 5_000.0}  # of the program a month; times the current
NEEDS_BOLUSES: Final = frozenset({Kind.BOLUS, Kind.BOLUS_CAP, Kind.BOLUS_DENIED})
OF_MANY: Final = frozenset({Kind.SITE_OUTAGE})  # touches pumps that are not its own

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
    """Choose pumps and times for what `--faults` asks (see `parse`); raises ValueError where it asks for what is not.

    A part of the demonstration that no free pump suits, or that does not fit into the time that the fleet runs, is
    left out.
    """
    wanted = parse(faults)
    order = np.argsort(draws.uniform(draws.keys_of(seed, np.array([each.number for each in fleet]), "cast"), 0))
    free = [int(index) for index in order]
    chosen: list[Fault] = []
    for part in wanted.parts:
        for pump in free:
            acts = _acts(part, pump, fleet[pump], timeline) if part.suits(fleet[pump]) else []
            if acts:
                chosen += acts
                free.remove(pump)
                break
    chosen += _each(wanted.kinds, fleet, free, seed, timeline)
    if wanted.field_factor:
        chosen += drawn(wanted.field_factor, fleet, free, seed, timeline)
    return chosen


class Wanted(NamedTuple):
    """What a value of `--faults` asks for."""

    parts: list[Part]  # of the demonstration
    kinds: list[Kind]  # one pump each
    field_factor: float  # faults as they happen in the field, so many times as often


def parse(faults: str) -> Wanted:
    """`demo`, `none`, or a list with commas of kinds, `each:N`, `decoys:N` and `field:FACTOR`; raises ValueError."""
    wanted = Wanted([], [], 0.0)
    for word in [word.strip() for word in faults.split(",") if word.strip()]:
        name, _, number = word.partition(":")
        if word == "demo":
            wanted.parts.extend(DEMO)
        elif name in {"each", "decoys"} and number.isdigit() and int(number) > 0:
            kinds = [kind for kind in Kind if (kind in DECOYS) == (name == "decoys") and kind not in OF_MANY]
            wanted.kinds.extend(kind for kind in kinds for _ in range(int(number)))
        elif name == "field" and _is_factor(number):
            wanted = wanted._replace(field_factor=float(number))
        elif word in list(Kind):
            part = next((part for part in DEMO if part.kind == word), None)
            if part is None:
                wanted.kinds.append(Kind(word))
            else:
                wanted.parts.append(part)
        elif word != "none":
            raise ValueError(
                f"no such fault: {word}; known are demo, none, each:N, decoys:N, field:X, {', '.join(Kind)}"
            )
    return wanted


def parts_of(faults: str) -> list[Part]:
    """The parts of the demonstration that a value of `--faults` asks for; raises ValueError as `parse`."""
    return parse(faults).parts


def pumps_for(each: int) -> int:
    """How large a fleet has room for `each:N`: some faults can be seen on sensor pumps only, some need boluses."""
    kinds = parse(f"each:{each}").kinds
    with_sensor = sum(1 for kind in kinds if not shown(kind, sensor=False)[0] and shown(kind, sensor=True)[0])
    with_boluses = sum(1 for kind in kinds if kind in NEEDS_BOLUSES)
    return round(1.2 * max(len(kinds), with_sensor / SENSOR_SHARE, 3 * with_boluses)) + 50


def with_low_reservoirs(fleet: Sequence[Implant], faults: Sequence[Fault], start_ms: int) -> list[Implant]:
    """The fleet as it begins: pumps that run low or empty have missed their refill.

    Where a fault or decoy says what is asked for, the patient asks for nothing besides.
    """
    begins = list(fleet)
    for fault in faults:
        implant = begins[fault.pump]
        if fault.kind in NEEDS_BOLUSES:
            begins[fault.pump] = replace(implant, boluses=implant.boluses._replace(wishes_a_day=0.0))
        if fault.kind is Kind.RESERVOIR_LOW:
            begins[fault.pump] = replace(implant, filled_ml=fault.value)
        if fault.kind is Kind.RESERVOIR_EMPTY:
            until_onset_ml = implant.program_ml_d * (fault.onset_ms - start_ms) / DAY_MS
            begins[fault.pump] = replace(implant, filled_ml=min(fault.value + until_onset_ml, implant.capacity_ml))
    return begins


def _is_factor(text: str) -> bool:
    try:
        return 0 < float(text) <= 1e6
    except ValueError:
        return False


def _each(
    kinds: Sequence[Kind], fleet: Sequence[Implant], free: list[int], seed: int, timeline: Timeline
) -> list[Fault]:
    """One pump for each, of a model that can show it if there is one; onsets are spread over the run."""
    numbers = np.array([pump.number for pump in fleet])
    chance = draws.uniform(draws.keys_of(seed, numbers, "onset"), 0)
    span_ms = timeline.end_ms - timeline.start_ms
    chosen: list[Fault] = []
    for kind in kinds:
        suiting = (pump for pump in free if _can_show(kind, fleet[pump]))
        pump = next(suiting, None)
        if pump is None:
            raise ValueError(f"no pump is left for {kind}: {len(kinds)} faults need more than {len(fleet)} pumps")
        free.remove(pump)
        onset_ms = timeline.start_ms + round(span_ms * (EACH_FROM + (EACH_UNTIL - EACH_FROM) * float(chance[pump])))
        fault = fault_named(kind, pump, onset_ms, None, _score_value(kind), fleet[pump])
        chosen.append(replace(fault, onset_ms=timeline.start_ms) if kind is Kind.RESERVOIR_LOW else fault)
    return chosen


def _can_show(kind: Kind, implant: Implant) -> bool:
    if kind in NEEDS_BOLUSES and not implant.bolus_daily_cap_ul:
        return False
    seen = {sensor: bool(shown(kind, sensor=sensor)[0]) for sensor in (False, True)}
    return seen[implant.sensor] or not any(seen.values())


def _score_value(kind: Kind) -> float | None:
    """What takes months or years is hurried, so that it shows within a day or two."""
    return HURRIED.get(kind)


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
        dose_ul = round(implant.bolus_daily_cap_ul / BOLUSES_A_CAP, 2) or BOLUS_UL
        return [Fault(pump, part.kind, each, each + round(BOLUS_S * 1000), dose_ul) for each in onsets_ms]
    lasts_s = {Kind.LINK_GAP: GAP_S, Kind.REFILL: 0.0}.get(part.kind, part.lasts_s)
    end_ms = None if lasts_s is None else onset_ms + round(lasts_s * 1000)
    return [Fault(pump, part.kind, onset_ms, end_ms, _value(part.kind, implant))]


def _live_onset_ms(part: Part, implant: Implant, timeline: Timeline) -> int | None:
    if timeline.live_s < LIVE_AT_LEAST_S:
        return None
    shows_s = shows_after_ms(part.kind, implant) / 1000
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
            return low_ml(implant)
        case Kind.REFILL:
            return implant.capacity_ml
        case _:
            return 1.0
