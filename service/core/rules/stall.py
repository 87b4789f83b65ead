"""Stall: the flow has stopped although the program says otherwise.

    S ← max(0, S + below_fraction · programmed − measured)      per step, in µL
    M = Σ (programmed − measured) while S > 0                    what the patient has missed
    begins when M ≥ missed_ul, S is at least half of what M would make of it, and it has lasted for_s of covered time

or at once when the pump itself says that its motor has stalled. It ends by flow alone, whatever the pump says: a pump's
own clearing may come late, or not before it is interrogated. The delay is missed_ul / rate, at least for_s
(docs/rules.md): 29 min at 0.5 mL/d, 2.4 h at 0.1 mL/d. Cannot see: a catheter that is closed, kinked or out of place
behind a turning rotor. While nothing is programmed it is unknown: an open stall stays open.

A stall that began in an MRI (rules/mri.py) is at step 1 while the exam explains it, and at step 2 as soon as infusion
has not restarted, or the hold after the exam is over; and however many exams are said to begin, no longer than the
longest of one, mri_exam_s + mri_hold_s, since its onset. Any other stall is at step 2.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition
from service.core.reading import DeviceCode, Items
from service.core.rules import mri
from service.core.rules.step import Step
from service.core.state import Columns, Field

EXPLAINED: Final = 1.0
UNEXPLAINED: Final = 2.0

STATISTICS: Final = {
    Condition.STALL: {
        "missed_ul": Field.STALL_MISSED_UL,
        "stalled_ms": Field.STALL_MS,
        "behind_ul": Field.STALL_UL,
        "recovered_ms": Field.STALL_RECOVERED_MS,
        "said_by_pump": Field.STALL_SAID,
        "in_mri": Field.STALL_IN_MRI,
        "mri_phase": Field.MRI_PHASE,
        "mri_since_ms": Field.MRI_SINCE_MS,
        "mri_log_ratio": Field.MRI_LOG_RATIO,
    }
}
UNDER_WAY: Final = (Field.STALL_LEVEL, Field.STALL_UL, *mri.UNDER_WAY)
"""What is not zero while a stall holds or may yet come to hold."""
_UNDER_WAY: Final = list(UNDER_WAY)


def on_device_alarm(state: npt.NDArray[np.float64], event: np.void, _limits: np.void) -> None:
    if event["code"] != DeviceCode.MOTOR_STALL:
        return
    behind = state[Field.STALL_UL] > 0
    explained = state[Field.MRI_PHASE] != mri.Phase.NONE and (not behind or state[Field.STALL_IN_MRI] > 0)
    if state[Field.STALL_LEVEL] == 0 and not behind:
        state[Field.STALL_SINCE_MS] = event["measured_ms"]
    if not explained:
        state[Field.MRI_SINCE_MS] = state[Field.MRI_LOG_RATIO] = 0.0
    state[Field.STALL_IN_MRI] = float(explained)
    state[Field.STALL_SAID] = 1.0
    state[Field.STALL_LEVEL] = max(state[Field.STALL_LEVEL], EXPLAINED if explained else UNEXPLAINED)
    state[Field.STALL_CLEAR_MS] = state[Field.STALL_CLEAR_STEPS] = 0.0


def advance(state: Columns, step: Step, limits: Items) -> None:
    below = step.flow_ul < limits["stall_below_fraction"] * step.program_ul
    if not (below.any() or state[_UNDER_WAY].any()):
        return
    answer = mri.advance(state, step, limits)
    explained = state[Field.MRI_PHASE] != mri.Phase.NONE
    long_enough = _behind(state, step, limits, explained) & (state[Field.STALL_MS] >= limits["stall_for_s"] * 1000)
    recovered = (step.program_ul > 0) & (step.flow_ul >= limits["stall_clear_above_fraction"] * step.program_ul)

    before = state[Field.STALL_LEVEL]
    holds = before > 0
    first = np.where(explained & (state[Field.STALL_IN_MRI] > 0), EXPLAINED, UNEXPLAINED)
    unanswered = state[Field.STALL_IN_MRI] > 0  # nothing has shown yet that infusion restarted
    still = (step.program_ul > 0) & ~recovered
    age_ms = step.ended_ms - state[Field.STALL_SINCE_MS]
    too_long = (age_ms < 0) | (age_ms > (limits["stall_mri_exam_s"] + limits["stall_mri_hold_s"]) * 1000)
    over = too_long | (~explained & (unanswered | long_enough))
    rises = (before == EXPLAINED) & (answer.did_not | (still & over))
    ends = holds & _recovered_for_long(state, step, limits, recovered)
    level = np.where(holds, before, np.where(long_enough, first, 0.0))
    state[Field.STALL_LEVEL] = np.where(ends, 0.0, np.where(rises, UNEXPLAINED, level))

    # What was missed before infusion restarted is told; only what is missed after that counts from now on.
    anew = ends | answer.restarted
    for field in (Field.STALL_UL, Field.STALL_MS, Field.STALL_MISSED_UL, Field.STALL_IN_MRI):
        state[field] = np.where(anew, 0.0, state[field])
    state[Field.STALL_SAID] = np.where(ends, 0.0, state[Field.STALL_SAID])


def _behind(state: Columns, step: Step, limits: Items, explained: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Add the step to what is missed; say where that is enough."""
    below = limits["stall_below_fraction"]
    behind_ul = state[Field.STALL_UL] + below * step.program_ul - step.flow_ul
    is_behind = (step.program_ul > 0) & (behind_ul > 0)
    starts = is_behind & (state[Field.STALL_UL] == 0) & (state[Field.STALL_LEVEL] == 0)
    missed_ul = np.maximum(state[Field.STALL_MISSED_UL] + step.program_ul - step.flow_ul, 0.0)
    state[Field.STALL_UL] = np.where(is_behind, behind_ul, 0.0)
    state[Field.STALL_MISSED_UL] = np.where(is_behind, missed_ul, 0.0)
    state[Field.STALL_MS] = np.where(is_behind, state[Field.STALL_MS] + step.covered_ms, 0.0)
    state[Field.STALL_SINCE_MS] = np.where(starts, step.began_ms, state[Field.STALL_SINCE_MS])
    state[Field.STALL_IN_MRI] = np.where(starts, explained, state[Field.STALL_IN_MRI])
    for field in (Field.MRI_SINCE_MS, Field.MRI_LOG_RATIO):  # of an exam long ago
        state[field] = np.where(starts & ~explained, 0.0, state[field])
    enough_ul = limits["stall_missed_ul"]
    enough = (state[Field.STALL_MISSED_UL] >= enough_ul) & (state[Field.STALL_UL] >= 0.5 * below * enough_ul)
    return np.asarray(enough)


def _recovered_for_long(
    state: Columns, step: Step, limits: Items, recovered: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    kept = recovered | (step.program_ul <= 0)  # unprogrammed time says neither: it freezes the count
    holds = state[Field.STALL_LEVEL] > 0
    begins = recovered & (state[Field.STALL_CLEAR_STEPS] == 0)
    state[Field.STALL_RECOVERED_MS] = np.where(holds & begins, step.began_ms, state[Field.STALL_RECOVERED_MS])
    clear_ms = np.where(kept, state[Field.STALL_CLEAR_MS] + recovered * step.covered_ms, 0.0)
    clear_steps = np.where(kept, state[Field.STALL_CLEAR_STEPS] + recovered, 0.0)
    long = (clear_ms >= limits["stall_clear_for_s"] * 1000) & (clear_steps >= limits["stall_clear_steps"])
    state[Field.STALL_CLEAR_MS] = np.where(holds & ~long, clear_ms, 0.0)
    state[Field.STALL_CLEAR_STEPS] = np.where(holds & ~long, clear_steps, 0.0)
    return np.asarray(long)
