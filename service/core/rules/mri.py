"""MRI: does an exam explain that the pump stands still, and did infusion restart after it?

A strong magnetic field stops a rotor for the exam; after it the rotor should turn again. An exam, and at most
mri_hold_s after it, is the context in which a stall stays at its first step. The context ends sooner when a sequential
test decides (Wald 1945), on the flow of each step that began mri_restart_s or more after the exam, as a share f of its
program:

    Λ ← Λ + clip((f − ½) / σ², −4, 4)       the log of "restarted, f about 1" to "not, f about 0"
    Λ ≥ ln((1 − b) / a) = 6.90               it restarted;  a = 0.001: to say so although it did not
    Λ ≤ ln(b / (1 − a)) = −4.60              it did not;    b = 0.01: to say so although it did

σ is the sensor's noise, white over the step and drifting, or that of a rotor's count. No single step decides: two do.
Time is the pump's own; an exam whose end is not told ends after mri_exam_s, and a clock that runs backwards ends it.
An exam that people have told of (mri_from_ms to mri_until_ms) is one as well, whatever the pump says of it.
"""

import math
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.reading import Items
from service.core.rules.step import UL_A_ML_D, Column, Step
from service.core.state import Columns, Field

FALSELY_RESTARTED: Final = 0.001
FALSELY_NOT: Final = 0.01
RESTARTED_AT: Final = math.log((1 - FALSELY_NOT) / FALSELY_RESTARTED)
NOT_RESTARTED_AT: Final = math.log(FALSELY_NOT / (1 - FALSELY_RESTARTED))
MOST_A_STEP: Final = 4.0

# The noise of one minute's reading that a flow sensor is taken to have (docs/rules.md), and of a count of rotor steps.
WHITE_SD: Final = 0.15
WHITE_FLOOR_ML_D: Final = 0.02
DRIFT_SD: Final = 0.03
ROTOR_SD: Final = 0.1

UNDER_WAY: Final = (Field.MRI_PHASE,)


class Phase(IntEnum):
    NONE = 0
    EXAM = 1
    AFTER = 2


class Answer(NamedTuple):
    restarted: npt.NDArray[np.bool_]
    did_not: npt.NDArray[np.bool_]


def on_began(state: npt.NDArray[np.float64], event: np.void, _limits: np.void) -> None:
    state[Field.MRI_PHASE] = Phase.EXAM
    state[Field.MRI_BEGAN_MS] = event["measured_ms"]
    state[Field.MRI_SINCE_MS] = state[Field.MRI_LOG_RATIO] = 0.0


def on_ended(state: npt.NDArray[np.float64], event: np.void, _limits: np.void) -> None:
    """An end without a beginning is one too: the beginning may be lost."""
    state[Field.MRI_PHASE] = Phase.AFTER
    state[Field.MRI_ENDED_MS] = event["measured_ms"]
    state[Field.MRI_SINCE_MS] = state[Field.MRI_LOG_RATIO] = 0.0


def advance(state: Columns, step: Step, limits: Items) -> Answer:
    """Say for each pump whether this step has shown that infusion restarted, or that it did not."""
    if (limits["mri_until_ms"] > step.began_ms).any():
        _begin_as_told(state, step, limits)
    if not state[Field.MRI_PHASE].any():
        nobody = np.zeros(state.shape[1], np.bool_)
        return Answer(nobody, nobody)
    _end_as_told(state, step, limits)
    exam, after = state[Field.MRI_PHASE] == Phase.EXAM, state[Field.MRI_PHASE] == Phase.AFTER
    told = exam & (state[Field.MRI_BEGAN_MS] >= limits["mri_from_ms"]) & (step.ended_ms < limits["mri_until_ms"])
    in_exam_ms = step.ended_ms - state[Field.MRI_BEGAN_MS]
    since_ms = step.ended_ms - state[Field.MRI_ENDED_MS]
    over = exam & ~told & ((in_exam_ms < 0) | (in_exam_ms > limits["stall_mri_exam_s"] * 1000))
    over |= after & ((since_ms < 0) | (since_ms > limits["stall_mri_hold_s"] * 1000))
    asked = (
        after
        & (step.program_ul > 0)
        & (step.began_ms >= state[Field.MRI_ENDED_MS] + limits["stall_mri_restart_s"] * 1000)
    )
    log_ratio = state[Field.MRI_LOG_RATIO] + np.where(asked, _log_ratio(step, limits), 0.0)
    state[Field.MRI_LOG_RATIO] = log_ratio
    state[Field.MRI_SINCE_MS] = np.where(asked, since_ms, state[Field.MRI_SINCE_MS])
    answer = Answer(asked & (log_ratio >= RESTARTED_AT), asked & (log_ratio <= NOT_RESTARTED_AT))
    closed = over | answer.restarted | answer.did_not
    state[Field.MRI_PHASE] = np.where(closed, Phase.NONE, state[Field.MRI_PHASE])
    return answer


def _begin_as_told(state: Columns, step: Step, limits: Items) -> None:
    """Once for each exam: where infusion has been seen to restart in it, it is over."""
    begins = (
        (state[Field.MRI_PHASE] == Phase.NONE)
        & (step.ended_ms > limits["mri_from_ms"])
        & (step.began_ms < limits["mri_until_ms"])
        & (state[Field.MRI_BEGAN_MS] < limits["mri_from_ms"])
    )
    state[Field.MRI_PHASE] = np.where(begins, Phase.EXAM, state[Field.MRI_PHASE])
    state[Field.MRI_BEGAN_MS] = np.where(begins, limits["mri_from_ms"], state[Field.MRI_BEGAN_MS])
    for field in (Field.MRI_SINCE_MS, Field.MRI_LOG_RATIO):
        state[field] = np.where(begins, 0.0, state[field])


def _end_as_told(state: Columns, step: Step, limits: Items) -> None:
    ends = (
        (state[Field.MRI_PHASE] == Phase.EXAM)
        & (state[Field.MRI_BEGAN_MS] >= limits["mri_from_ms"])
        & (step.ended_ms >= limits["mri_until_ms"])
    )
    state[Field.MRI_PHASE] = np.where(ends, Phase.AFTER, state[Field.MRI_PHASE])
    state[Field.MRI_ENDED_MS] = np.where(ends, limits["mri_until_ms"], state[Field.MRI_ENDED_MS])
    for field in (Field.MRI_SINCE_MS, Field.MRI_LOG_RATIO):
        state[field] = np.where(ends, 0.0, state[field])


def _log_ratio(step: Step, limits: Items) -> Column:
    """What one step says: positive for "restarted". Where nothing is programmed it means nothing."""
    program_ul = np.where(step.program_ul > 0, step.program_ul, 1.0)
    program_ml_d = program_ul * UL_A_ML_D / step.covered_ms
    white = np.maximum(WHITE_SD, WHITE_FLOOR_ML_D / program_ml_d)
    sensor_variance = white * white * (60_000.0 / step.covered_ms) + DRIFT_SD**2
    variance = np.where(limits["flow_sensor"] > 0, sensor_variance, ROTOR_SD**2)
    return np.asarray(np.clip((step.flow_ul / program_ul - 0.5) / variance, -MOST_A_STEP, MOST_A_STEP))
