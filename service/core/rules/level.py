"""Level: does a measured reservoir empty as the measured flow says? A ramp-matched CUSUM in millilitres, each hour.

With r = V_measured − V_expected, where V_expected falls by the integrated flow D, over the hours since the last refill

    G_fast = max over s ≤ t of (r_s − r_t) − reference · (D_t − D_s)         the level falls too fast
    G_slow = max over s ≤ t of (r_t − r_s) − reference · (D_t − D_s)         the level falls too slowly

each capped at twice `decision_ml`; begins when one reaches it. Both are kept by the recursion G ← max(0, G ± Δr −
reference · ΔD), which telescopes: whatever its length, the sum is the difference of two levels, so the noise of the
level enters twice and never adds up. The decision is therefore set against the noise of the level itself, correlated
as it is (docs/rules.md), and not as if its differences were independent.

With a rotor this sees what the rotor cannot: over-infusion and occlusion. With a flow sensor it sees the two sensors
disagree. An hour that is not known well enough is bridged without evidence. Not available for a computed level; cannot
see: a leak behind the pump, which empties as it should.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.holding import Pump, covered, ends_after
from service.core.rules.step import HOUR_MS, Column, Step
from service.core.state import Columns, Field

STATISTICS: Final = {
    Condition.LEVEL_DEVIATION: {
        "too_fast_ml": Field.LEVEL_FAST_ML,
        "too_slow_ml": Field.LEVEL_SLOW_ML,
        "level_ml": Field.LEVEL_ML,
    },
}


def on_refill(pump: Pump, _refill: np.void, _limits: np.void) -> None:
    """Nothing that was measured before says anything of what comes after."""
    pump[Field.LEVEL_SPOILT] = 1.0
    pump[Field.LEVEL_HOUR] = pump[Field.LEVEL_FAST_ML] = pump[Field.LEVEL_SLOW_ML] = 0.0


def close_hour(state: Columns, _step: Step, limits: Items) -> None:
    known_ms = np.where(state[Field.HOUR_ALL_MS] > 0, state[Field.HOUR_ALL_MS], 1.0)
    level_ml = state[Field.HOUR_LEVEL_ML_MS] / known_ms
    flow_ul = state[Field.HOUR_ALL_FLOW_UL] * np.maximum(HOUR_MS / known_ms, 1.0)
    sound = covered(state) & (level_ml > limits["level_deviation_least_ml"])
    evident = (limits["reservoir_sensor"] > 0) & sound & (state[Field.LEVEL_SPOILT] == 0)
    follows = evident & (state[Field.LEVEL_HOUR] > 0) & (state[Field.HOUR] == state[Field.LEVEL_HOUR] + 1)

    moved_ml = (state[Field.LEVEL_FLOW_UL] + flow_ul) / 2000.0  # from the middle of one hour to that of the next
    risen_ml = level_ml - state[Field.LEVEL_ML] + moved_ml
    decision_ml = limits["level_deviation_decision_ml"]
    began_ms = state[Field.HOUR] * HOUR_MS
    allowed_ml = limits["level_deviation_reference"] * moved_ml
    holds = state[Field.LEVEL_DEVIATION_LEVEL] > 0
    quiet = (state[Field.LEVEL_FAST_ML] == 0) & (state[Field.LEVEL_SLOW_ML] == 0)
    for field, off_ml in ((Field.LEVEL_FAST_ML, -risen_ml), (Field.LEVEL_SLOW_ML, risen_ml)):
        total_ml = np.clip(state[field] + off_ml - allowed_ml, 0.0, 2.0 * decision_ml)
        state[field] = np.where(follows, total_ml, state[field])
    worst_ml = np.maximum(state[Field.LEVEL_FAST_ML], state[Field.LEVEL_SLOW_ML])
    _turn(state, limits, holds=holds, began_ms=np.where(quiet & (worst_ml > 0), began_ms, np.nan), worst_ml=worst_ml)

    state[Field.LEVEL_ML] = np.where(evident, level_ml, state[Field.LEVEL_ML])
    state[Field.LEVEL_FLOW_UL] = np.where(evident, flow_ul, state[Field.LEVEL_FLOW_UL])
    state[Field.LEVEL_HOUR] = np.where(evident, state[Field.HOUR], state[Field.LEVEL_HOUR])
    state[Field.LEVEL_SPOILT] = 0.0


def _turn(state: Columns, limits: Items, *, holds: npt.NDArray[np.bool_], began_ms: Column, worst_ml: Column) -> None:
    since_ms = state[Field.LEVEL_DEVIATION_SINCE_MS]
    state[Field.LEVEL_DEVIATION_SINCE_MS] = np.where(holds | np.isnan(began_ms), since_ms, began_ms)
    decision_ml = limits["level_deviation_decision_ml"]
    clear = holds & covered(state) & (worst_ml < limits["level_deviation_clear_ratio"] * decision_ml)
    ends = ends_after(state, Field.LEVEL_CLEAR_HOURS, clear, limits["level_deviation_clear_hours"])
    begins = ~holds & (worst_ml >= decision_ml)
    state[Field.LEVEL_DEVIATION_LEVEL] = np.where(begins, 1.0, np.where(ends, 0.0, holds * 1.0))
