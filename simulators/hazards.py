"""How often does each fault happen in the field? Faults drawn over a fleet, so many times as often as published.

Rates are published ones where a source is named (docs/simulators.md has the table), and assumed otherwise. One pump
has at most one fault a run: with a factor that makes that rare, precision at field base rates is the same.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from simulators import draws
from simulators.faults import HOUR_MS, Fault, Kind, Timeline, fault_named
from simulators.fleet import Implant

YEAR_MS: Final = 8766 * HOUR_MS
DAYS_A_YEAR: Final = 365.25
ON_LABEL: Final = frozenset({"baclofen", "morphine", "ziconotide"})
WEAR_SHAPE: Final = 3.0  # wear: the hazard grows with the square of the implant's age
SURVIVAL_AT_6_Y: Final = {True: 0.973, False: 0.911}  # on and off label, of stalls (Medtronic, 2017)

Rate = Callable[[float, Implant], float]
"""Events a pump-year at an implant's age in years."""


def wear(age_y: float, implant: Implant) -> float:
    """Weibull, scaled so that the published share survives six years."""
    at_six = -math.log(SURVIVAL_AT_6_Y[implant.drug in ON_LABEL])
    return float(WEAR_SHAPE * at_six / 6 * (age_y / 6) ** (WEAR_SHAPE - 1))


def catheter(share: float) -> Rate:
    """7 of 8 withdrawals, one in 20.1 pump-years, were the catheter's (Stetkarova 2015); most in the first months."""
    return lambda age_y, _implant: share * 7 / 8 / 20.1 * (0.7 + 2.3 * math.exp(-age_y / 0.5))


def steady(a_year: float) -> Rate:
    return lambda _age_y, _implant: a_year


def between(from_y: float, to_y: float, a_year: float) -> Rate:
    return lambda age_y, _implant: a_year if from_y <= age_y < to_y else 0.0


RATES: Final[Mapping[Kind, Rate]] = {
    Kind.STALL: lambda age_y, implant: 0.6 * wear(age_y, implant) + 7e-4 * math.exp(-age_y),  # and particles, early
    Kind.STALL_FLUTTER: lambda age_y, implant: 0.4 * wear(age_y, implant),
    Kind.OCCLUSION_PARTIAL: catheter(0.25),
    Kind.OCCLUSION: catheter(0.25),
    Kind.CATHETER_LEAK: catheter(0.50),
    Kind.OVER_INFUSION: between(5 / 12, 99.0, 0.0014 / 7),  # 0.14 % a pump's life, from five months on
    Kind.OVER_DELIVERY: between(5 / 12, 99.0, 0.0014 / 7 / 4),  # abruptly
    Kind.POCKET_FILL: steady(4 * 1e-4),  # one refill in 10,000, four refills a year
    Kind.BATTERY_RESET: between(45 / 12, 78 / 12, 55 / 139_653 / 2.75 / 2),
    Kind.BATTERY_EARLY: between(45 / 12, 78 / 12, 55 / 139_653 / 2.75 / 2),
    # Assumed: nobody publishes these.
    Kind.MRI: steady(0.3),
    Kind.MRI_LATE: steady(0.003),
    Kind.TELEMETRY_LOCK: steady(0.001),
    Kind.FREE_FLOW: steady(1e-4),
    Kind.MEMORY_ERROR: steady(1e-3),
    Kind.PROGRAM_UNAUTHORISED: steady(1e-4),
    Kind.BOLUS_CAP: steady(1e-4),
    Kind.STOPPED_LONG: steady(2e-3),
    Kind.FLOW_WHILE_STOPPED: steady(1e-4),
    Kind.CLOCK_JUMP: steady(0.01),
    Kind.SILENCE: steady(0.2),
    Kind.LOST: steady(0.5),
    Kind.CORRUPTED: steady(0.05),
    Kind.REBOOT: steady(0.2),
}


def drawn(factor: float, fleet: Sequence[Implant], free: Sequence[int], seed: int, timeline: Timeline) -> list[Fault]:
    """Draw faults for the `free` pumps over the length of the run: the first of each pump's, if it has any."""
    numbers = np.array([pump.number for pump in fleet])
    when = draws.uniform(draws.keys_of(seed, numbers, "hazard"), 0)
    which = draws.uniform(draws.keys_of(seed, numbers, "hazard"), 1)
    span_ms = timeline.end_ms - timeline.start_ms
    chosen = []
    for pump in free:
        implant = fleet[pump]
        rates = {kind: rate(age_y(implant), implant) for kind, rate in RATES.items()}
        if not implant.bolus_daily_cap_ul:
            rates.pop(Kind.BOLUS_CAP)
        in_all = sum(rates.values()) * factor / YEAR_MS
        onset_ms = timeline.start_ms - math.log(float(when[pump])) / in_all
        if onset_ms >= timeline.start_ms + span_ms:
            continue
        sums = np.cumsum(list(rates.values()))
        kind = list(rates)[min(int(np.searchsorted(sums, which[pump] * sums[-1])), len(rates) - 1)]
        chosen.append(fault_named(kind, pump, round(onset_ms), None, None, implant))
    return chosen


def age_y(implant: Implant) -> float:
    """How long the pump has been implanted when the run begins, in years."""
    return implant.implanted_d / DAYS_A_YEAR
