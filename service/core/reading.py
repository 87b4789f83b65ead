"""What did the pumps say? Readings and events of many pumps as the columns of one structured array."""

from enum import IntEnum, StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

SEQ_BITS: Final = 40
MAX_BOOT: Final = (1 << 22) - 1
MAX_SEQ: Final = (1 << SEQ_BITS) - 1
MAX_READINGS_A_MESSAGE: Final = 4096
MAX_MESSAGE_BYTES: Final = 256 * 1024


class Mode(IntEnum):
    """What the pump is doing. Stored as a small integer; the wire says the lower-case name."""

    RUNNING = 0
    BOLUS = 1
    STOPPED = 2
    PRIMING = 3
    BRIDGE = 4
    MINIMUM = 5


class EventType(IntEnum):
    """Kind of an item that shares the sequence. `READING` is no event: it marks an ordinary reading."""

    READING = 0
    STARTED = 1
    REFILL = 2
    BOLUS_REQUESTED = 3
    BOLUS_DELIVERED = 4
    BOLUS_DENIED = 5
    PROGRAM_CHANGED = 6
    DEVICE_ALARM_RAISED = 7
    DEVICE_ALARM_CLEARED = 8
    MRI_BEGAN = 9
    MRI_ENDED = 10
    CLOCK_SET = 11


class DeviceCode(IntEnum):
    """What a pump's own device alarm says. The wire says the lower-case name."""

    MOTOR_STALL = 0
    RESERVOIR_LOW = 1
    RESERVOIR_EMPTY = 2
    REPLACE_SOON = 3
    END_OF_SERVICE = 4
    BATTERY_RESET = 5
    MEMORY_ERROR = 6
    STOPPED_48H = 7


_DEVICE_CODES: Final = tuple(code.name.lower() for code in DeviceCode)
CODES: Final[dict[EventType, tuple[str, ...]]] = {
    EventType.STARTED: ("power_on", "reset", "watchdog"),
    EventType.BOLUS_DENIED: ("lockout", "daily_cap", "not_running"),
    EventType.DEVICE_ALARM_RAISED: _DEVICE_CODES,
    EventType.DEVICE_ALARM_CLEARED: _DEVICE_CODES,
}
"""The words of `reason` or `code` of an event, in the order of the numbers that stand for them."""


class DrugClass(StrEnum):
    BACLOFEN = "baclofen"
    OPIOID = "opioid"
    CLONIDINE = "clonidine"
    ZICONOTIDE = "ziconotide"
    BUPIVACAINE = "bupivacaine"
    UNKNOWN = "unknown"  # treated as the most dangerous


class Origin(StrEnum):
    """Where a stream comes from. Simulated alerts reach only endpoints that accept them."""

    PUMP = "pump"
    SIMULATED = "simulated"


# One item (a reading or an event) of one pump. For events the measured values are NaN, except what an
# event itself carries: `value` is `reservoir_after_ml` of a refill, `dose_ul` of a bolus, `program_ml_d` of a
# changed program, `before_ms` of a set clock; `second` is `aspirated_ml` of a refill, `duration_s` of a delivered
# bolus, 1 for a program changed with a `command_id` and 0 without; `code` is the place of its word in CODES. Each field
# lies at a multiple of its size, without padding: a tenth faster.
ITEM: Final = np.dtype(
    [
        ("pump", "i4"),  # index of the pump in this process; the pump's row number in the database elsewhere
        ("message", "i4"),  # index of the message in its batch; -1 when read back from the store
        ("kind", "i2"),  # EventType
        ("code", "i2"),  # of an event that has one, else -1
        ("mode", "i4"),  # Mode
        ("position", "i8"),  # boot << 40 | seq
        ("device_ms", "i8"),  # the pump's own clock
        ("measured_ms", "i8"),  # device_ms + stored offset of the boot
        ("received_ms", "i8"),  # our clock
        ("program_ml_d", "f8"),
        ("flow_ml_d", "f8"),
        ("reservoir_ml", "f8"),
        ("battery_v", "f8"),
        ("delivered_ul", "f8"),  # NaN where the pump does not say
        ("value", "f8"),
        ("second", "f8"),
    ]
)

Items = npt.NDArray[np.void]


def those(items: Items, which: npt.NDArray[np.bool_]) -> Items:
    """The items that `which` names; where that is all, as nearly always, not even copied."""
    return items if which.all() else items.compress(which)


def position_of(boot: int, seq: int) -> int:
    return boot << SEQ_BITS | seq


def boot_of(position: int) -> int:
    return position >> SEQ_BITS


def seq_of(position: int) -> int:
    return position & MAX_SEQ


def round_to_stored(items: Items) -> None:
    """Round the measured values, in place, to the precision at which they are stored (docs/interface.md).

    Done before any rule sees a value, so that replaying the store gives the same verdicts to the bit. Idempotent.
    """
    for name, decimals in (("program_ml_d", 4), ("flow_ml_d", 4), ("reservoir_ml", 3), ("battery_v", 3)):
        items[name] = np.round(items[name], decimals).astype(np.float32)
    items["delivered_ul"] = np.round(items["delivered_ul"], 2)
