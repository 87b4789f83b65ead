"""What do the rules remember of a pump? One row of numbers; nothing else survives from one reading to the next.

A *step* is the unit of evaluation: readings are gathered until they cover about a minute, so that a verdict does not
depend on how often a pump reports. Covered time is pump time that readings describe: a gap is not covered.
"""

from enum import IntEnum, auto
from hashlib import sha256
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.change import Condition

Columns = npt.NDArray[np.float64]
"""[field, pump]: the state of the pumps of one round, a contiguous column a field."""


class _Counted(IntEnum):
    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:  # noqa: ARG004
        return count


class Field(_Counted):
    """Index of a field.

    What every reading touches comes first and is gathered for it. What comes from ALWAYS on is looked at only where a
    step says something (rules/screen.py), where an hour of pump time has ended, or by an event. Of that the levels and
    then the since fields come first, each in the order of DECIDED.
    """

    READING_MS = auto()  # pump time of the last reading; 0 before the first
    SPACING_MS = auto()  # the usual time between two readings, for the first one after a gap
    CLOCK_SET = auto()  # 1 when the next reading's time cannot be compared with the last one's, as after a gap
    RESERVOIR_ML = auto()  # as last reported

    STEP_MS = auto()  # covered so far in the step under way
    STEP_PROGRAM_UL = auto()
    STEP_FLOW_UL = auto()

    HOUR = auto()  # the hour of pump time under way, since 1970
    HOUR_ALL_MS = auto()  # what its steps have covered
    HOUR_ALL_PROGRAM_UL = auto()
    HOUR_ALL_FLOW_UL = auto()
    HOUR_LEVEL_ML_MS = auto()  # the reservoir's level times the time it is taken for

    UNSETTLED = auto()  # 1 while a rule has something under way that the next step may change

    STALL_LEVEL = auto()
    OVER_DELIVERY_GROSS_LEVEL = auto()
    UNDER_DELIVERY_GROSS_LEVEL = auto()
    FLOW_WHILE_STOPPED_LEVEL = auto()
    RESERVOIR_EMPTY_LEVEL = auto()
    REFILL_MISMATCH_LEVEL = auto()
    BATTERY_RESET_LEVEL = auto()
    STOPPED_LONG_LEVEL = auto()
    OVER_DELIVERY_LEVEL = auto()
    UNDER_DELIVERY_LEVEL = auto()
    STALL_FLUTTER_LEVEL = auto()
    RESERVOIR_LOW_LEVEL = auto()
    LEVEL_DEVIATION_LEVEL = auto()
    BATTERY_LOW_LEVEL = auto()
    BATTERY_END_LEVEL = auto()
    PROGRAM_UNAUTHORISED_LEVEL = auto()
    BOLUS_CAP_LEVEL = auto()
    BOLUS_DENIED_LEVEL = auto()
    MEMORY_ERROR_LEVEL = auto()

    STALL_SINCE_MS = auto()
    OVER_DELIVERY_GROSS_SINCE_MS = auto()
    UNDER_DELIVERY_GROSS_SINCE_MS = auto()
    FLOW_WHILE_STOPPED_SINCE_MS = auto()
    RESERVOIR_EMPTY_SINCE_MS = auto()
    REFILL_MISMATCH_SINCE_MS = auto()
    BATTERY_RESET_SINCE_MS = auto()
    STOPPED_LONG_SINCE_MS = auto()
    OVER_DELIVERY_SINCE_MS = auto()
    UNDER_DELIVERY_SINCE_MS = auto()
    STALL_FLUTTER_SINCE_MS = auto()
    RESERVOIR_LOW_SINCE_MS = auto()
    LEVEL_DEVIATION_SINCE_MS = auto()
    BATTERY_LOW_SINCE_MS = auto()
    BATTERY_END_SINCE_MS = auto()
    PROGRAM_UNAUTHORISED_SINCE_MS = auto()
    BOLUS_CAP_SINCE_MS = auto()
    BOLUS_DENIED_SINCE_MS = auto()
    MEMORY_ERROR_SINCE_MS = auto()

    FULL_ML = auto()  # at the last refill
    RATE_ML_D = auto()  # programmed, averaged over about a day; 0 before the first step

    STALL_UL = auto()  # how far the flow has fallen behind `below_fraction` of the program
    STALL_MS = auto()  # for how long it has been behind
    STALL_MISSED_UL = auto()  # what was programmed in that time and not delivered
    STALL_IN_MRI = auto()  # 1 when it began while an MRI explained it
    STALL_SAID = auto()  # 1 when the pump itself said so
    STALL_CLEAR_MS = auto()
    STALL_CLEAR_STEPS = auto()
    STALL_RECOVERED_MS = auto()  # since when it flows again

    MRI_PHASE = auto()  # rules/mri.py
    MRI_BEGAN_MS = auto()
    MRI_ENDED_MS = auto()
    MRI_SINCE_MS = auto()  # time since the exam when it was last asked whether infusion restarted
    MRI_LOG_RATIO = auto()  # how much likelier it is that it did than that it did not

    FLUTTER_STOP_MS = auto()  # of the short stop under way: its length, volume, onset, and whether it counts
    FLUTTER_STOP_UL = auto()
    FLUTTER_STOP_SINCE_MS = auto()
    FLUTTER_STOP_COUNTS = auto()
    FLUTTER_LAST_MS = auto()  # the end of the last stop
    FLUTTER_CLEAR_MS = auto()
    FLUTTER_ONSET_1_MS = auto()  # of the last stops, the newest first
    FLUTTER_ONSET_2_MS = auto()
    FLUTTER_ONSET_3_MS = auto()
    FLUTTER_ONSET_4_MS = auto()
    FLUTTER_ONSET_5_MS = auto()

    OVER_DELIVERY_GROSS_SUM = auto()  # in program-minutes, rules/gross.py
    OVER_DELIVERY_GROSS_CLEAR_MS = auto()
    OVER_DELIVERY_GROSS_CLEAR_STEPS = auto()
    UNDER_DELIVERY_GROSS_SUM = auto()
    UNDER_DELIVERY_GROSS_CLEAR_MS = auto()
    UNDER_DELIVERY_GROSS_CLEAR_STEPS = auto()

    STOPPED_FLOW_UL = auto()  # delivered while nothing was programmed, beyond the sensor's noise
    STOPPED_FLOW_CLEAR_MS = auto()
    STOPPED_FLOW_CLEAR_STEPS = auto()

    HOUR_LEFT_MS = auto()  # of the hour under way: no evidence for its deviation, as stalled or not programmed
    HOUR_LEFT_PROGRAM_UL = auto()
    HOUR_LEFT_FLOW_UL = auto()

    EMPTY_STEPS = auto()
    EMPTY_CLEAR_MS = auto()
    EMPTY_CLEAR_STEPS = auto()
    EMPTY_SAID = auto()  # 1 while the pump itself says so; likewise the other fields of this kind
    REFILL_MS = auto()  # when the last refill was
    REFILL_PENDING = auto()  # 1 until the level after it has been judged
    REFILL_STEPS = auto()  # judged so far
    REFILL_SHORT_ML = auto()  # their sum: how far the level is below what was put in
    BEFORE_ML = auto()  # the level at the last hour's end, or before it rose
    RISEN_HOURS = auto()  # hours' ends in a row at which it stands above that
    STOPPED_MS = auto()  # for how long nothing has been programmed
    STOPPED_CLEAR_MS = auto()
    STOPPED_SEEN_MS = auto()  # when that was seen last; 0 where the time until the next step may not count
    MINIMUM_COMMANDED = auto()  # 1 while the minimum rate is what was asked for
    OTHER_MODE_SEEN = auto()  # 1 once the pump was heard in another mode than at its minimum rate
    RESET_CLEAR_HOURS = auto()  # in a row that it has run as programmed since a battery reset

    OVER_DELIVERY_SUM = auto()
    OVER_DELIVERY_CLEAR_HOURS = auto()
    UNDER_DELIVERY_SUM = auto()
    UNDER_DELIVERY_CLEAR_HOURS = auto()
    DEVIATION = auto()  # of the last whole hour, of program
    DEVIATION_MIDDLE = auto()  # of the hours within tolerance, a running middle
    DEVIATION_SD = auto()  # and their spread about it; 0 before the first

    EMPTY_IN_D = auto()  # conservative time to empty at the last hour's end
    EMPTY_NOMINAL_D = auto()
    EMPTY_OPTIMISTIC_D = auto()
    RESERVOIR_LOW_SAID = auto()
    SINCE_REFILL_UL = auto()  # programmed since the last refill, without the hour under way
    PUT_IN_ML = auto()  # at the last refill
    BIAS_INFORMATION = auto()  # what past refills say of the pump's bias: the sum of 1 / variance,
    BIAS_SUM = auto()  # and that of bias / variance
    REFILL_OFF_ML = auto()  # drawn off at the last refill, less what should have been left
    REFILL_LIMIT_ML = auto()

    LEVEL_SPOILT = auto()  # 1: the hour under way holds a refill
    LEVEL_HOUR = auto()  # the last hour that was judged; 0: none since the refill
    LEVEL_ML = auto()  # its mean level
    LEVEL_FLOW_UL = auto()  # what was delivered in it
    LEVEL_FAST_ML = auto()  # how far the level has fallen too much, and too little, beyond the reference
    LEVEL_SLOW_ML = auto()
    LEVEL_CLEAR_HOURS = auto()

    MODE = auto()  # of the last reading that a rule looked at; likewise the voltage
    BATTERY_V = auto()
    BATTERY_HOURS = auto()  # in a row below the limit
    BATTERY_CLEAR_HOURS = auto()
    BATTERY_LOW_MS = auto()  # since when it is to be replaced, by voltage or by its own word; 0: not yet
    BATTERY_LOW_SAID = auto()
    SERVICE_LEFT_D = auto()
    BATTERY_END_SAID = auto()
    BATTERY_END_CLEAR_HOURS = auto()

    BOLUS_CAP_CLEAR_HOURS = auto()
    BOLUS_GIVEN_UL = auto()  # in the last 24 h
    BOLUS_DENIED_COUNT = auto()  # in the last 24 h
    BOLUS_DENIED_CLEAR_HOURS = auto()
    PROGRAM_SET_ML_D = auto()  # by the last change without authority
    PROGRAM_USUAL_ML_D = auto()  # what was programmed before the first of them
    PROGRAM_CLEAR_HOURS = auto()  # in a row that this is programmed again
    MEMORY_SAID = auto()
    MEMORY_CLEAR_HOURS = auto()


BOLUSES_KEPT: Final = 12  # of a day: what is allowed comes in a handful, and each has its lockout time
DENIALS_KEPT: Final = 8
BOLUS_MS: Final = slice(len(Field), len(Field) + BOLUSES_KEPT)
"""Behind the fields: when the last boluses began, the newest first; then how much; then when one was denied."""
BOLUS_UL: Final = slice(BOLUS_MS.stop, BOLUS_MS.stop + BOLUSES_KEPT)
DENIED_MS: Final = slice(BOLUS_UL.stop, BOLUS_UL.stop + DENIALS_KEPT)
FIELDS: Final = int(DENIED_MS.stop)
ALWAYS: Final = int(Field.UNSETTLED) + 1
"""So many fields are read and written for every reading."""

DECIDED: Final = (
    Condition.STALL,
    Condition.OVER_DELIVERY_GROSS,
    Condition.UNDER_DELIVERY_GROSS,
    Condition.FLOW_WHILE_STOPPED,
    Condition.RESERVOIR_EMPTY,
    Condition.REFILL_MISMATCH,
    Condition.BATTERY_RESET,
    Condition.STOPPED_LONG,
    Condition.OVER_DELIVERY,
    Condition.UNDER_DELIVERY,
    Condition.STALL_FLUTTER,
    Condition.RESERVOIR_LOW,
    Condition.LEVEL_DEVIATION,
    Condition.BATTERY_LOW,
    Condition.BATTERY_END,
    Condition.PROGRAM_UNAUTHORISED,
    Condition.BOLUS_CAP,
    Condition.BOLUS_DENIED,
    Condition.MEMORY_ERROR,
)
"""The conditions that the fold decides, in the order of their level fields."""

LEVELS: Final = slice(ALWAYS, ALWAYS + len(DECIDED))

LEVEL_OF: Final = {condition: Field[f"{condition.upper()}_LEVEL"] for condition in DECIDED}
"""Where a condition's step stands, 0 while it does not hold."""

SINCE_OF: Final = {condition: Field[f"{condition.upper()}_SINCE_MS"] for condition in DECIDED}
"""Where the pump time of its onset stands, also of one that may yet come to hold."""


def holding(state: npt.NDArray[np.float64]) -> list[Condition]:
    """The conditions that hold in one pump's state [field]."""
    return [condition for condition in DECIDED if state[LEVEL_OF[condition]] > 0]


ALL_VALUES: Final = sha256(" ".join([*(field.name for field in Field), str(FIELDS)]).encode()).hexdigest()[:12]
"""Names the fields and their order. Of a state in which every value was written, zero or not."""

LAYOUT: Final = f"{ALL_VALUES}-packed"
"""As they are written now."""

READABLE: Final = (LAYOUT, ALL_VALUES)
"""A checkpoint of another layout says nothing."""

_WHICH_BYTES: Final = (FIELDS + 7) // 8


def packed(states: npt.NDArray[np.float64]) -> list[bytes]:
    """Each of some states [pump, field] as bytes: a bit a field, then the values of those that are not zero.

    Most are, of a pump that is well. To the bit, as everything that a restart goes on from.
    """
    says = np.ascontiguousarray(states).view(np.int64) != 0  # so that a negative zero stays one
    values = states[says].astype("<f8").tobytes()
    ends = (8 * np.cumsum(says.sum(axis=1))).tolist()
    which = np.packbits(says, axis=1)
    return [row.tobytes() + values[first:last] for row, first, last in zip(which, [0, *ends], ends, strict=False)]


def unpacked(state: bytes, layout: str = LAYOUT) -> npt.NDArray[np.float64]:
    """The state [field] of one pump. The layout is a readable one."""
    if layout == ALL_VALUES:
        return np.frombuffer(state, "<f8").astype(np.float64)
    found = np.zeros(FIELDS)
    says = np.unpackbits(np.frombuffer(state, np.uint8, _WHICH_BYTES), count=FIELDS).astype(np.bool_)
    found[says] = np.frombuffer(state, "<f8", offset=_WHICH_BYTES)
    return found


def fresh(pumps: int) -> npt.NDArray[np.float64]:
    """The state of pumps that were never heard: [pump, field]."""
    return np.zeros((pumps, FIELDS))
