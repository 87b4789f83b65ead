"""What does a fault or decoy do to its pump while it lasts?"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from simulators import wire
from simulators.draws import Floats, Integers
from simulators.faults import DAY_MS, HOUR_MS, MINUTE_MS, MRI_MS, Fault, Kind, length_ms
from simulators.fleet import Implant
from simulators.pump import Demand
from simulators.sensors import UL_A_SECOND_AT_ONE_ML_D

# When a stall can be known, in pump time; said here on its own: labels that asked the rules would agree with them.
STALL_MISSED_UL: Final = 10.0
STALL_AT_LEAST_MS: Final = 20 * MINUTE_MS

FLUTTER_RESTS_H: Final = (8.0, 6.0, 4.5, 3.5)  # wear: less and less time between stalls, then every three hours
FLUTTER_LAST_REST_H: Final = 3.0
BOLUS_MS: Final = 10 * MINUTE_MS
CAP_BOLUSES: Final = 6
FLEX_STEPS: Final = np.repeat((0.0, 1.0, -0.5, 0.0), 6)  # how far from the basal rate, by hour (UTC)
MONTH_MS: Final = 30 * DAY_MS


def stall_shows_ms(implant: Implant, *, at_its_fastest: bool = False) -> int:
    """How long after its onset a stall can be known; of a flex program at the slowest hour, or at the fastest."""
    rates_ml_d = [rate for day in implant.basal.days for _, rate in day] or [implant.program_ml_d]
    rate_ml_d = max(rates_ml_d) if at_its_fastest else min(rates_ml_d)
    missed_ms = STALL_MISSED_UL / (rate_ml_d * UL_A_SECOND_AT_ONE_ML_D) * 1000
    return max(STALL_AT_LEAST_MS, math.ceil(missed_ms))


def lock_falls_silent_ms(fault: Fault, implant: Implant) -> int:
    """When a pump that a scan has locked into telemetry mode is heard for the last time: its stall is known by then."""
    return fault.onset_ms + max(MRI_MS, stall_shows_ms(implant)) + 30 * MINUTE_MS


def touch(  # noqa: C901, PLR0912
    fault: Fault, implant: Implant, demand: Demand, from_ms: Integers, to_ms: Integers
) -> None:
    """Change what is asked of the fault's pump, or how it answers, over spans that begin and end at these times."""
    share = share_of(fault, from_ms, to_ms)
    if not share.any():
        return
    pump, kind, value = fault.pump, fault.kind, fault.value
    match kind:
        case Kind.STALL | Kind.MRI | Kind.MRI_LATE | Kind.TELEMETRY_LOCK:
            demand.advance[:, pump] *= 1 - share
        case Kind.STALL_FLUTTER:
            for stall in flutter(fault, implant, int(to_ms[-1])):
                demand.advance[:, pump] *= 1 - share_of(stall, from_ms, to_ms)
        case Kind.UNDER_DELIVERY if not implant.sensor:  # the rotor counts only the steps that it makes
            demand.advance[:, pump] *= 1 - share * (1 - value)
        case Kind.OVER_DELIVERY | Kind.OVER_DELIVERY_GROSS | Kind.UNDER_DELIVERY | Kind.OCCLUSION_PARTIAL:
            demand.output[:, pump] *= 1 - share * (1 - value)
        case Kind.OCCLUSION:
            demand.output[:, pump] *= 1 - share
        case Kind.OVER_INFUSION:
            on_for_ms = (np.maximum(from_ms, fault.onset_ms) + to_ms) / 2 - fault.onset_ms
            demand.output[:, pump] *= 1 + share * value * on_for_ms / MONTH_MS
        case Kind.FREE_FLOW | Kind.EARLY_EMPTY:
            volume_ml = implant.capacity_ml if kind is Kind.EARLY_EMPTY else value
            demand.free_ml_d[:, pump] += share * volume_ml * DAY_MS / length_ms(fault)
        case Kind.CATHETER_LEAK:
            demand.leak[:, pump] = 1 - (1 - demand.leak[:, pump]) * (1 - share * value)
        case Kind.BATTERY_EARLY:
            demand.drain[:, pump] *= 1 + share * (value - 1)
        case Kind.FLEX:
            step = FLEX_STEPS[(to_ms - 1) // HOUR_MS % 24]
            demand.program_ml_d[:, pump] += share * step * (value - 1) * implant.program_ml_d
        case Kind.BOLUS:
            _give(fault, demand, from_ms, to_ms)
        case Kind.BOLUS_CAP:
            for bolus in cap_boluses(fault, implant):
                _give(bolus, demand, from_ms, to_ms)
        case Kind.FLOW_WHILE_STOPPED:
            demand.free_ml_d[:, pump] += share * value


def share_of(fault: Fault, from_ms: Integers, to_ms: Integers) -> Floats:
    """How much of each span this fault is on: 0 … 1."""
    until_ms = to_ms if fault.end_ms is None else np.minimum(fault.end_ms, to_ms)
    return np.asarray(np.maximum(until_ms - np.maximum(fault.onset_ms, from_ms), 0) / (to_ms - from_ms))


def flutter(fault: Fault, implant: Implant, until_ms: int) -> Iterator[Fault]:
    """The stalls of a worn rotor that begin before `until_ms`, each just long enough to be known."""
    lasts_ms = round(1.2 * stall_shows_ms(implant)) + 4 * MINUTE_MS
    at_ms, number = fault.onset_ms, 0
    while at_ms < until_ms and not fault.over_by(at_ms):
        end_ms = at_ms + lasts_ms
        yield Fault(fault.pump, Kind.STALL, at_ms, end_ms if fault.end_ms is None else min(end_ms, fault.end_ms))
        rest_h = FLUTTER_RESTS_H[number] if number < len(FLUTTER_RESTS_H) else FLUTTER_LAST_REST_H
        at_ms, number = end_ms + round(rest_h * HOUR_MS), number + 1


def cap_boluses(fault: Fault, implant: Implant) -> list[Fault]:
    """The boluses that together are `value` times what a day may hold."""
    each_ul = round(fault.value * implant.bolus_daily_cap_ul / CAP_BOLUSES, 2)
    apart_ms = length_ms(fault) // CAP_BOLUSES
    onsets_ms = [fault.onset_ms + number * apart_ms for number in range(CAP_BOLUSES)]
    return [Fault(fault.pump, Kind.BOLUS, at, at + min(BOLUS_MS, apart_ms), each_ul) for at in onsets_ms]


def given_ms(fault: Fault) -> int:
    """How long the volume of a single bolus or of a priming takes."""
    return min(BOLUS_MS, length_ms(fault)) if fault.kind is Kind.SINGLE_BOLUS else length_ms(fault)


def _give(bolus: Fault, demand: Demand, from_ms: Integers, to_ms: Integers) -> None:
    share = share_of(bolus, from_ms, to_ms)
    demand.program_ml_d[:, bolus.pump] += share * bolus.value / (length_ms(bolus) / 1000 * UL_A_SECOND_AT_ONE_ML_D)
    demand.mode[share > 0, bolus.pump] = wire.BOLUS
