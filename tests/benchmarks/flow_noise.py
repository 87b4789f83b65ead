"""How often do the rules on flow alert upon healthy pumps? Sensor pumps at one reading a minute, straight on the fold.

`python -m tests.benchmarks.flow_noise PUMPS DAYS TAU_H SEED LEAST_ML_D MOST_ML_D`; docs/rules.md has what was found.
The noise is that of design H5: white 15 % of a minute (at least 0.02 mL/d), a counter that never runs backwards, AR(1)
3 % with time constant TAU_H, bias N(1, 4) % within tolerance. Now and then a pump is stopped for six hours.
"""

import collections
import math
import sys
import time

import numpy as np
import numpy.typing as npt

from service.core.change import Condition, Turn
from service.core.evaluate import fold
from service.core.limits import LIMITS
from service.core.reading import ITEM, DrugClass, Items, Mode, round_to_stored
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts
from service.core.state import fresh

HOUR = 60
START_MS = 1_795_348_800_000
STOPPED_SHARE, STOPPED_H = 0.02, 6
ABOUT_FLOW = {Condition(name) for name in LIMITS if "delivery" in name or "stall" in name or "stopped" in name} - {
    Condition.STOPPED_LONG
}
Floats = npt.NDArray[np.float64]


class Sensors:
    """What the sensors of many healthy pumps count, an hour of minutes at a time."""

    def __init__(self, random: np.random.Generator, pumps: int, tau_h: float) -> None:
        self._random = random
        self._kept = math.exp(-1 / HOUR / tau_h)
        self._drift = random.standard_normal(pumps)
        self._owed_ml_d = np.zeros(pumps)
        self.bias = random.normal(0.01, 0.04, pumps)
        while (refused := np.abs(self.bias) > 0.145).any():
            self.bias[refused] = random.normal(0.01, 0.04, int(refused.sum()))

    def hour(self, program_ml_d: Floats) -> Floats:
        """[minute, pump]"""
        white_ml_d = np.maximum(0.15 * program_ml_d, 0.02)
        white, fresh_drift = self._random.standard_normal((2, HOUR, len(program_ml_d)))
        counted = np.empty_like(white)
        for minute in range(HOUR):
            self._drift = self._kept * self._drift + math.sqrt(1 - self._kept**2) * fresh_drift[minute]
            seen = program_ml_d * (1 + self.bias + 0.03 * self._drift) + white_ml_d * white[minute] + self._owed_ml_d
            self._owed_ml_d = np.clip(seen, -white_ml_d, 0)
            counted[minute] = np.maximum(seen, 0)
        return counted


def blank(pumps: int) -> Items:
    items = np.zeros(pumps * HOUR, ITEM)
    items["pump"] = np.repeat(np.arange(pumps), HOUR)
    items["battery_v"], items["code"] = 2.9, -1
    items["delivered_ul"] = items["value"] = items["second"] = np.nan
    return items


def main() -> None:
    pumps, days, tau_h, seed, least_ml_d, most_ml_d = (float(word) for word in sys.argv[1:])
    count, random = int(pumps), np.random.default_rng(int(seed))
    sensors = Sensors(random, count, tau_h)
    rate_ml_d = np.exp(random.uniform(math.log(least_ml_d), math.log(most_ml_d), count))
    facts = PumpFacts(DrugClass.BACLOFEN, flow_sensor=True, reservoir_sensor=True, capacity_ml=40.0, interval_s=60.0)
    limits = np.concatenate([DEFAULT_RULEBOOK.limits_row(facts)] * count)
    state, evaluated = fresh(count), np.full(count, -1, np.int64)
    items, level_ml, stopped = blank(count), np.full(count, 30.0), np.zeros(count, np.bool_)
    found: collections.Counter[Condition] = collections.Counter()
    took_s = 0.0
    for hour in range(int(days * 24)):
        if hour % STOPPED_H == 0:
            stopped = random.random(count) < STOPPED_SHARE
        program_ml_d = np.where(stopped, 0.0, rate_ml_d)
        level_ml -= program_ml_d * (1 + sensors.bias) / 24
        level_ml[level_ml < 8] = 30.0
        items["mode"] = np.repeat(np.where(stopped, Mode.STOPPED, Mode.RUNNING), HOUR)
        items["position"] = np.tile(hour * HOUR + np.arange(HOUR), count)
        items["device_ms"] = items["measured_ms"] = items["received_ms"] = START_MS + items["position"] * 60_000
        items["program_ml_d"] = np.repeat(program_ml_d, HOUR)
        items["flow_ml_d"] = sensors.hour(program_ml_d).T.ravel()
        items["reservoir_ml"] = np.repeat(level_ml, HOUR)
        round_to_stored(items)
        began = time.thread_time()
        changes = fold(state, evaluated, items, limits, items["pump"].astype(np.intp), 120_000)
        took_s += time.thread_time() - began
        found.update(each.condition for each in changes if each.turn is Turn.BEGAN and each.condition in ABOUT_FLOW)
    years = count * days / 365.25
    sys.stdout.write(
        f"{sum(found.values())} false alerts in {years:.0f} sensor pump-years: {dict(found)}\n"
        f"{took_s / (count * days * 1440) * 1e6:.2f} µs of processor a reading\n"
    )


if __name__ == "__main__":
    main()
