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
    """Index of a field. The level fields come first and in the order of DECIDED: they are compared as one block."""

    STALL_LEVEL = auto()
    OVER_GROSS_LEVEL = auto()
    OVER_LEVEL = auto()
    UNDER_LEVEL = auto()
    RESERVOIR_LEVEL = auto()

    READING_MS = auto()  # pump time of the last reading; 0 before the first
    SPACING_MS = auto()  # the usual time between two readings, for the first one after a gap
    CLOCK_SET = auto()  # 1 when the next reading's time cannot be compared with the last one's
    RESERVOIR_ML = auto()  # as last reported
    FULL_ML = auto()  # at the last refill
    RATE_ML_D = auto()  # programmed, averaged over about a day; 0 before the first step

    STEP_MS = auto()  # covered so far in the step under way
    STEP_PROGRAM_UL = auto()
    STEP_FLOW_UL = auto()

    STALL_UL = auto()  # how far the flow has fallen behind `below_fraction` of the program
    STALL_MS = auto()  # for how long it has been behind
    STALL_SINCE_MS = auto()
    STALL_CLEAR_MS = auto()
    STALL_CLEAR_STEPS = auto()

    OVER_GROSS_STEPS = auto()
    OVER_GROSS_SINCE_MS = auto()
    OVER_GROSS_CLEAR_MS = auto()
    OVER_GROSS_CLEAR_STEPS = auto()

    HOUR = auto()  # the hour of pump time under way, since 1970
    HOUR_MS = auto()  # covered time that counts for the deviation
    HOUR_PROGRAM_UL = auto()
    HOUR_FLOW_UL = auto()
    HOUR_ALL_MS = auto()  # all covered time, for the rate
    HOUR_ALL_PROGRAM_UL = auto()
    OVER_SUM = auto()
    OVER_SINCE_MS = auto()
    OVER_CLEAR_HOURS = auto()
    UNDER_SUM = auto()
    UNDER_SINCE_MS = auto()
    UNDER_CLEAR_HOURS = auto()
    DEVIATION = auto()  # of the last whole hour, of program

    RESERVOIR_SINCE_MS = auto()
    EMPTY_IN_D = auto()  # conservative time to empty at the last step


FIELDS: Final = len(Field)
LEVELS: Final = slice(Field.STALL_LEVEL, Field.RESERVOIR_LEVEL + 1)

DECIDED: Final = (
    Condition.STALL,
    Condition.OVER_DELIVERY_GROSS,
    Condition.OVER_DELIVERY,
    Condition.UNDER_DELIVERY,
    Condition.RESERVOIR_LOW,
)
"""The conditions that the fold decides, in the order of their level fields."""

LAYOUT: Final = sha256(" ".join(field.name for field in Field).encode()).hexdigest()[:12]
"""Names the fields and their order: a checkpoint of another layout is not read."""


def fresh(pumps: int) -> npt.NDArray[np.float64]:
    """The state of pumps that were never heard: [pump, field]."""
    return np.zeros((pumps, FIELDS))
