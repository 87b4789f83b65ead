"""What may a payload hold? The keys of docs/interface.md as typed structs, and what it means when they do not fit."""

from collections.abc import Callable
from enum import Enum
from math import nan
from typing import Annotated, Final, Literal, Self

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from service.core.reading import CODES, MAX_BOOT, MAX_SEQ, EventType, Mode
from service.core.rejection import Reason

LAST_TIME_MS: Final = 253402300799999

Boot = Annotated[int, Meta(ge=0, le=MAX_BOOT)]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
TimeMs = Annotated[int, Meta(ge=0, le=LAST_TIME_MS)]
VolumeMl = Annotated[float, Meta(ge=0, le=100)]
RateMlD = Annotated[float, Meta(ge=0, le=100)]
DoseUl = Annotated[float, Meta(ge=0, le=100_000)]
DurationS = Annotated[float, Meta(ge=0, le=1_000_000)]
# PostgreSQL's jsonb cannot hold NUL.
Name = Annotated[str, Meta(max_length=200, pattern="^[^\x00]*$")]


class WireMode(bytes, Enum):
    """A mode: read from its name on the wire, and itself the byte that is stored, so that a column is one `join`."""

    def __new__(cls, mode: Mode) -> Self:
        member = bytes.__new__(cls, [mode])
        member._value_ = mode.name.lower()
        return member

    RUNNING = Mode.RUNNING
    BOLUS = Mode.BOLUS
    STOPPED = Mode.STOPPED
    PRIMING = Mode.PRIMING
    BRIDGE = Mode.BRIDGE
    MINIMUM = Mode.MINIMUM


class Telemetry(Struct, gc=False, kw_only=True):
    """Readings as columns. Keys that come in this order are found at once; any order is read."""

    boot: Boot
    seq: Seq
    time_ms: list[TimeMs]
    mode: list[WireMode]
    program_ml_d: list[float]
    flow_ml_d: list[float]
    reservoir_ml: list[float]
    battery_v: list[float]
    delivered_ul: list[float] | UnsetType = UNSET
    simulated: bool = False
    held_from: tuple[Boot, Seq]


class Event(Struct, gc=False, kw_only=True, tag_field="type"):
    boot: Boot
    seq: Seq
    held_from: tuple[Boot, Seq]
    time_ms: TimeMs
    simulated: bool = False


class Started(Event, tag="started"):
    reason: Literal["power_on", "reset", "watchdog"]


class Refill(Event, tag="refill"):
    reservoir_after_ml: VolumeMl
    aspirated_ml: VolumeMl | UnsetType = UNSET
    expected_ml: VolumeMl | UnsetType = UNSET


class BolusRequested(Event, tag="bolus_requested"):
    dose_ul: DoseUl


class BolusDelivered(Event, tag="bolus_delivered"):
    dose_ul: DoseUl
    duration_s: DurationS


class BolusDenied(Event, tag="bolus_denied"):
    dose_ul: DoseUl
    reason: Literal["lockout", "daily_cap", "not_running"]


class ProgramChanged(Event, tag="program_changed"):
    program_ml_d: RateMlD
    mode: Literal["running", "bolus", "stopped", "priming", "bridge", "minimum"]
    command_id: Name | UnsetType = UNSET


DeviceCode = Literal[
    "motor_stall",
    "reservoir_low",
    "reservoir_empty",
    "replace_soon",
    "end_of_service",
    "battery_reset",
    "memory_error",
    "stopped_48h",
]


class DeviceAlarmRaised(Event, tag="device_alarm_raised"):
    code: DeviceCode


class DeviceAlarmCleared(Event, tag="device_alarm_cleared"):
    code: DeviceCode


class MriBegan(Event, tag="mri_began"):
    pass


class MriEnded(Event, tag="mri_ended"):
    pass


class ClockSet(Event, tag="clock_set"):
    before_ms: TimeMs


AnyEvent = (
    Started
    | Refill
    | BolusRequested
    | BolusDelivered
    | BolusDenied
    | ProgramChanged
    | DeviceAlarmRaised
    | DeviceAlarmCleared
    | MriBegan
    | MriEnded
    | ClockSet
)

EVENT_TYPE: Final[dict[type[Event], EventType]] = {
    Started: EventType.STARTED,
    Refill: EventType.REFILL,
    BolusRequested: EventType.BOLUS_REQUESTED,
    BolusDelivered: EventType.BOLUS_DELIVERED,
    BolusDenied: EventType.BOLUS_DENIED,
    ProgramChanged: EventType.PROGRAM_CHANGED,
    DeviceAlarmRaised: EventType.DEVICE_ALARM_RAISED,
    DeviceAlarmCleared: EventType.DEVICE_ALARM_CLEARED,
    MriBegan: EventType.MRI_BEGAN,
    MriEnded: EventType.MRI_ENDED,
    ClockSet: EventType.CLOCK_SET,
}
# Which key of an event is its `value` column.
VALUE_KEY: Final[dict[type[Event], str]] = {
    Refill: "reservoir_after_ml",
    BolusRequested: "dose_ul",
    BolusDelivered: "dose_ul",
    BolusDenied: "dose_ul",
    ProgramChanged: "program_ml_d",
    ClockSet: "before_ms",
}


class Status(Struct, gc=False):
    online: bool


def second_of(event: Event) -> float:
    """The second number that the rules need of an event (core/reading.py); NaN: none."""
    match event:
        case Refill() if event.aspirated_ml is not UNSET:
            return float(event.aspirated_ml)
        case BolusDelivered():
            return event.duration_s
        case ProgramChanged():
            return float(event.command_id is not UNSET)
        case _:
            return nan


def code_of(event: Event) -> int:
    """The place of the event's word in CODES; -1: it has none."""
    match event:
        case Started() | BolusDenied():
            return CODES[EVENT_TYPE[type(event)]].index(event.reason)
        case DeviceAlarmRaised() | DeviceAlarmCleared():
            return CODES[EVENT_TYPE[type(event)]].index(event.code)
        case _:
            return -1


Payload = Telemetry | Event | Status
Read = Callable[[bytes], Payload]

# Everything that a decoder raises for bytes that do not fit; UnicodeDecodeError and MsgspecError are ValueErrors.
UNREADABLE: Final = (ValueError, RecursionError)


class UnreadableError(ValueError):
    """The message cannot be understood, for a reason that is known already."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _not_an_object(payload: bytes) -> Payload:
    raise UnreadableError(Reason.NOT_AN_OBJECT, f"a payload cannot begin with byte 0x{payload[0]:02x}")


def _by_first_byte(as_json: Read, as_msgpack: Read) -> list[Read]:
    read: list[Read] = [_not_an_object] * 256
    for byte in b"{ \t\r\n":
        read[byte] = as_json
    for byte in (*range(0x80, 0x90), 0xDE, 0xDF):
        read[byte] = as_msgpack
    return read


# For each kind of topic: the function that reads a payload, by the payload's first byte.
READ: Final[dict[bytes, list[Read]]] = {
    kind: _by_first_byte(msgspec.json.Decoder(form).decode, msgspec.msgpack.Decoder(form).decode)
    for kind, form in ((b"telemetry", Telemetry), (b"event", AnyEvent), (b"status", Status))
}

# The beginnings of what msgspec says, the first that fits. Its texts are stable and the tests pin every one of them.
_REASONS: Final = (
    ("Input data was truncated", Reason.TRUNCATED),
    ("JSON is malformed", Reason.MALFORMED),
    ("MessagePack data is malformed", Reason.MALFORMED),
    ("Object missing required field", Reason.MISSING_KEY),
    ("Invalid enum value", Reason.UNKNOWN_CODE),
    ("Invalid value", Reason.UNKNOWN_EVENT),
    ("Number out of range", Reason.OUT_OF_RANGE),
    ("Integer value out of range", Reason.OUT_OF_RANGE),
    ("Expected `array` of length", Reason.WRONG_TYPE),
    ("Expected `str` ", Reason.OUT_OF_RANGE),
    ("Expected `int` ", Reason.OUT_OF_RANGE),
    ("Expected `float` ", Reason.OUT_OF_RANGE),
)


def reason_of(error: BaseException) -> Reason:
    """Name what one of UNREADABLE means."""
    match error:
        case UnreadableError():
            reason = error.reason
        case RecursionError():
            reason = Reason.TOO_DEEP
        case UnicodeDecodeError():
            reason = Reason.BAD_ENCODING
        case _:
            reason = _reason_of_text(str(error))
    return reason


def _reason_of_text(text: str) -> Reason:
    what, _, where = text.rpartition(" - at ")
    if what.startswith("Invalid enum value") and where.startswith("`$.mode"):
        return Reason.UNKNOWN_MODE
    if text.startswith("Expected `object`") and not where.startswith("`$"):
        return Reason.NOT_AN_OBJECT
    return next((reason for start, reason in _REASONS if text.startswith(start)), Reason.WRONG_TYPE)
