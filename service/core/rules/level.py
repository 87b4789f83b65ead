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

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.holding import Pump, covered, ends_after
from service.core.rules.step import HOUR_MS, Column, Step
from service.core.state import Columns, Field

_SUMS: Final = slice(Field.LEVEL_FAST_ML, Field.LEVEL_SLOW_ML + 1)
_LEVEL_AND_SUMS: Final = [Field.LEVEL_DEVIATION_LEVEL, Field.LEVEL_FAST_ML, Field.LEVEL_SLOW_ML]
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
    """Judge the hour that has ended of the pumps that measure their level."""
    measured = limits["reservoir_sensor"] > 0
    if state[Field.LEVEL_DEVIATION_LEVEL].any():  # by the registry, one of them may measure it no longer
        state[_LEVEL_AND_SUMS] = np.where(measured, state[_LEVEL_AND_SUMS], 0.0)
    chosen = np.flatnonzero(measured)
    if len(chosen) == state.shape[1]:
        _judge(state, limits)
    elif len(chosen):
        part = state[:, chosen]
        _judge(part, limits.take(chosen))
        state[:, chosen] = part


def _judge(state: Columns, limits: Items) -> None:
    covered_ms = np.maximum(state[Field.HOUR_ALL_MS], 1.0)
    level_ml = state[Field.HOUR_LEVEL_ML_MS] / covered_ms
    flow_ul = state[Field.HOUR_ALL_FLOW_UL] * np.maximum(HOUR_MS / covered_ms, 1.0)
    evident = covered(state) & (level_ml > limits["level_deviation_least_ml"]) & (state[Field.LEVEL_SPOILT] == 0)
    # After a gap, and after a refill, there is no hour before this one.
    follows = evident & (state[Field.HOUR] == state[Field.LEVEL_HOUR] + 1)

    moved_ml = (state[Field.LEVEL_FLOW_UL] + flow_ul) / 2000.0  # from the middle of one hour to that of the next
    risen_ml = level_ml - state[Field.LEVEL_ML] + moved_ml
    allowed_ml = limits["level_deviation_reference"] * moved_ml
    decision_ml = limits["level_deviation_decision_ml"]
    total_ml = state[_SUMS] - allowed_ml
    total_ml[0] -= risen_ml
    total_ml[1] += risen_ml
    np.maximum(total_ml, 0.0, out=total_ml)
    np.minimum(total_ml, 2.0 * decision_ml, out=total_ml)
    holds = state[Field.LEVEL_DEVIATION_LEVEL] > 0
    quiet = (state[Field.LEVEL_FAST_ML] + state[Field.LEVEL_SLOW_ML]) == 0
    np.copyto(state[Field.LEVEL_DEVIATION_SINCE_MS], state[Field.HOUR] * HOUR_MS, where=quiet & ~holds)
    np.copyto(state[_SUMS], total_ml, where=follows)
    worst_ml = np.maximum(state[Field.LEVEL_FAST_ML], state[Field.LEVEL_SLOW_ML])
    turning = np.flatnonzero(holds | (worst_ml >= decision_ml))
    if len(turning):
        part = state[:, turning]
        _turn(part, limits.take(turning), worst_ml[turning])
        state[:, turning] = part

    np.copyto(state[Field.LEVEL_HOUR], state[Field.HOUR], where=evident)
    np.copyto(state[Field.LEVEL_ML], level_ml, where=evident)
    np.copyto(state[Field.LEVEL_FLOW_UL], flow_ul, where=evident)
    state[Field.LEVEL_SPOILT] = 0.0


def _turn(state: Columns, limits: Items, worst_ml: Column) -> None:
    holds = state[Field.LEVEL_DEVIATION_LEVEL] > 0
    decision_ml = limits["level_deviation_decision_ml"]
    clear = holds & covered(state) & (worst_ml < limits["level_deviation_clear_ratio"] * decision_ml)
    ends = ends_after(state, Field.LEVEL_CLEAR_HOURS, clear, limits["level_deviation_clear_hours"])
    begins = ~holds & (worst_ml >= decision_ml)
    state[Field.LEVEL_DEVIATION_LEVEL] = np.where(begins, 1.0, np.where(ends, 0.0, holds * 1.0))
