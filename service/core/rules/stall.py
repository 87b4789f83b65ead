"""Stall: the flow has stopped although the program says otherwise.

    S ← max(0, S + below_fraction · programmed − measured)      per step, in µL
    begins when S / below_fraction ≥ missed_ul and it has lasted for_s of covered time

While nothing flows, S / below_fraction is the volume that the patient has missed, so the delay is missed_ul / rate
(docs/rules.md): 29 min at 0.5 mL/d, 2.4 h at 0.1 mL/d. Cannot see: a catheter that is closed, kinked or out of place
behind a turning rotor. While nothing is programmed it is unknown: an open stall stays open.
"""

from typing import Final

import numpy as np

from service.core.change import Condition
from service.core.reading import Items
from service.core.rules.step import Step
from service.core.state import Columns, Field

STATISTICS: Final = {Condition.STALL: {"stalled_ms": Field.STALL_MS, "behind_ul": Field.STALL_UL}}
UNDER_WAY: Final = (Field.STALL_LEVEL, Field.STALL_UL)
"""What is not zero while a stall holds or may yet come to hold."""


def advance(state: Columns, step: Step, limits: Items) -> None:
    programmed = step.program_ul > 0
    holds = state[Field.STALL_LEVEL] > 0

    behind_ul = state[Field.STALL_UL] + limits["stall_below_fraction"] * step.program_ul - step.flow_ul
    behind_ul = np.where(programmed & (behind_ul > 0), behind_ul, 0.0)
    starts = (behind_ul > 0) & (state[Field.STALL_UL] == 0)
    state[Field.STALL_SINCE_MS] = np.where(starts & ~holds, step.began_ms, state[Field.STALL_SINCE_MS])
    state[Field.STALL_MS] = np.where(behind_ul > 0, state[Field.STALL_MS] + step.covered_ms, 0.0)
    state[Field.STALL_UL] = behind_ul
    begins = (
        ~holds
        & (behind_ul >= limits["stall_missed_ul"] * limits["stall_below_fraction"])
        & (state[Field.STALL_MS] >= limits["stall_for_s"] * 1000)
    )

    recovered = programmed & (step.flow_ul >= limits["stall_clear_above_fraction"] * step.program_ul)
    kept = recovered | ~programmed  # unprogrammed time says neither: it freezes the count
    clear_ms = np.where(kept, state[Field.STALL_CLEAR_MS] + recovered * step.covered_ms, 0.0)
    clear_steps = np.where(kept, state[Field.STALL_CLEAR_STEPS] + recovered, 0.0)
    ends = holds & (clear_ms >= limits["stall_clear_for_s"] * 1000) & (clear_steps >= limits["stall_clear_steps"])
    counting = holds & ~ends
    state[Field.STALL_CLEAR_MS] = np.where(counting, clear_ms, 0.0)
    state[Field.STALL_CLEAR_STEPS] = np.where(counting, clear_steps, 0.0)
    state[Field.STALL_UL] = np.where(ends, 0.0, state[Field.STALL_UL])
    state[Field.STALL_MS] = np.where(ends, 0.0, state[Field.STALL_MS])
    state[Field.STALL_LEVEL] = np.where(begins, 2.0, np.where(ends, 0.0, state[Field.STALL_LEVEL]))
