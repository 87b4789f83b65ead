"""Flow while stopped: the pump delivers although nothing is programmed.

    V ← max(0, V + measured − noise_ml_d · covered)      per step with nothing programmed, in µL; 0 once programmed
    begins when V ≥ volume_ul

A sensor's counter cannot run backwards, so at rest its noise counts upwards: at most by 0.4 standard deviations of
noise_ml_d a minute, which is allowed a whole one. V then is a walk that falls, on average, by more than its own
deviation each minute, and reaching volume_ul, 36 deviations up, has a chance below exp(−100) (docs/rules.md). A rotor
counts its steps and has no noise: it shows a rotor that turns while stopped, and no free flow past it.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.by_step import hold
from service.core.rules.step import UL_A_ML_D, Step
from service.core.state import Columns, Field

STATISTICS: Final = {Condition.FLOW_WHILE_STOPPED: {"delivered_ul": Field.STOPPED_FLOW_UL}}
UNDER_WAY: Final = (Field.FLOW_WHILE_STOPPED_LEVEL, Field.STOPPED_FLOW_UL)
_UNDER_WAY: Final = list(UNDER_WAY)


def advance(state: Columns, step: Step, limits: Items) -> None:
    stopped = step.program_ul <= 0
    if not (stopped.any() or state[_UNDER_WAY].any()):
        return
    beyond_ul = step.flow_ul - limits["flow_while_stopped_noise_ml_d"] * step.covered_ms / UL_A_ML_D
    total_ul = np.where(stopped, np.maximum(state[Field.STOPPED_FLOW_UL] + beyond_ul, 0.0), 0.0)
    starts = (total_ul > 0) & (state[Field.STOPPED_FLOW_UL] == 0) & (state[Field.FLOW_WHILE_STOPPED_LEVEL] == 0)
    state[Field.FLOW_WHILE_STOPPED_SINCE_MS] = np.where(starts, step.began_ms, state[Field.FLOW_WHILE_STOPPED_SINCE_MS])
    state[Field.STOPPED_FLOW_UL] = total_ul
    hold(
        state,
        Field.FLOW_WHILE_STOPPED_LEVEL,
        (Field.STOPPED_FLOW_CLEAR_MS, Field.STOPPED_FLOW_CLEAR_STEPS),
        total_ul >= limits["flow_while_stopped_volume_ul"],
        stopped & (beyond_ul > 0),
        np.ones(len(stopped), np.bool_),
        step,
        limits,
        "flow_while_stopped",
    )
