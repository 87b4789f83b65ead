"""How is a pump's message written, and a receipt read? The pump's side of docs/interface.md."""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

MAX_READINGS_A_MESSAGE: Final = 4096
MAX_BOOT: Final = (1 << 22) - 1
MAX_RATE_ML_D: Final = 100.0  # of the program; a measured rate may be a thousand times more
RECEIPT_TOPICS: Final = "receipts/v1/+"
RECEIPT_PREFIX: Final = "receipts/v1/"

MODES: Final = ("running", "bolus", "stopped", "priming", "bridge", "minimum")
RUNNING, BOLUS, STOPPED, PRIMING, BRIDGE, MINIMUM = range(6)

# Decimals on the wire are those that the service stores: what was published can be compared with what was stored.
RATE_DECIMALS: Final = 4
RESERVOIR_DECIMALS: Final = 3
BATTERY_DECIMALS: Final = 3
DELIVERED_DECIMALS: Final = 2


class Encoding(StrEnum):
    JSON = "json"
    MSGPACK = "msgpack"


class Columns(NamedTuple):
    """Consecutive readings of one pump, each column a list of Python numbers already rounded to the wire's decimals."""

    time_ms: list[int]
    mode: list[int]
    program_ml_d: list[float]
    flow_ml_d: list[float]
    reservoir_ml: list[float]
    battery_v: list[float]
    delivered_ul: list[float] | None = None

    def part(self, begin: int, end: int) -> "Columns":
        return Columns(
            self.time_ms[begin:end],
            self.mode[begin:end],
            self.program_ml_d[begin:end],
            self.flow_ml_d[begin:end],
            self.reservoir_ml[begin:end],
            self.battery_v[begin:end],
            None if self.delivered_ul is None else self.delivered_ul[begin:end],
        )

    def followed_by(self, later: "Columns") -> "Columns":
        counted = later.delivered_ul
        if counted is not None:
            counted = [*(self.delivered_ul or ()), *counted]
        return Columns(
            self.time_ms + later.time_ms,
            self.mode + later.mode,
            self.program_ml_d + later.program_ml_d,
            self.flow_ml_d + later.flow_ml_d,
            self.reservoir_ml + later.reservoir_ml,
            self.battery_v + later.battery_v,
            counted,
        )


class Event(NamedTuple):
    """What happened in a pump between two readings; `fields` are the further keys of its type."""

    time_ms: int
    type: str
    fields: dict[str, object]


class Receipt(msgspec.Struct, frozen=True):
    """Everything of `boot` up to and including `through`, and of every earlier boot, is committed."""

    boot: int
    through: int


_JSON = msgspec.json.Encoder()
_MSGPACK = msgspec.msgpack.Encoder()
_RECEIPT = msgspec.json.Decoder(Receipt)
_HELD_FROM_KEY = _MSGPACK.encode("held_from")


def telemetry_topic(pump_id: str) -> str:
    return f"pumps/v1/{pump_id}/telemetry"


def event_topic(pump_id: str) -> str:
    return f"pumps/v1/{pump_id}/event"


def status_topic(pump_id: str) -> str:
    return f"pumps/v1/{pump_id}/status"


def telemetry_body(boot: int, seq: int, columns: Columns, encoding: Encoding = Encoding.JSON) -> bytes:
    """Encode readings without `held_from`, which is not known before the message is sent: see `close`."""
    if not 1 <= len(columns.time_ms) <= MAX_READINGS_A_MESSAGE:
        raise ValueError(f"a message has 1 to {MAX_READINGS_A_MESSAGE} readings, not {len(columns.time_ms)}")
    keys: dict[str, object] = {
        "boot": boot,
        "seq": seq,
        "time_ms": columns.time_ms,
        "mode": [MODES[mode] for mode in columns.mode],
        "program_ml_d": columns.program_ml_d,
        "flow_ml_d": columns.flow_ml_d,
        "reservoir_ml": columns.reservoir_ml,
        "battery_v": columns.battery_v,
    }
    if columns.delivered_ul is not None:
        keys["delivered_ul"] = columns.delivered_ul
    return _open(keys, encoding)


def event_body(boot: int, seq: int, event: Event, encoding: Encoding = Encoding.JSON) -> bytes:
    """Encode one event without `held_from`: see `close`."""
    return _open({"boot": boot, "seq": seq, "time_ms": event.time_ms, "type": event.type, **event.fields}, encoding)


def close(body: bytes, held_from: tuple[int, int]) -> bytes:
    """Finish a body with the oldest position, (boot, seq), that the pump still holds."""
    boot, seq = held_from
    if body[0] == ord("{"):
        return b'%b,"held_from":[%d,%d]}' % (body, boot, seq)
    return body + _HELD_FROM_KEY + _MSGPACK.encode([boot, seq])


def without_held_from(body: bytes) -> bytes:
    """The message as a JSON object without `held_from`, whatever the encoding: what the journal keeps."""
    if body[0] == ord("{"):
        return body + b"}"
    fewer_keys = bytes([body[0] - 1]) + body[1:]
    return _JSON.encode(msgspec.msgpack.decode(fewer_keys))


def status(*, online: bool, encoding: Encoding = Encoding.JSON) -> bytes:
    keys = {"online": online, "simulated": True}
    return _JSON.encode(keys) if encoding is Encoding.JSON else _MSGPACK.encode(keys)


def decode_receipt(payload: bytes) -> Receipt | None:
    """Read a receipt; None for anything that is not one: a pump that cannot read it waits for the next."""
    try:
        return _RECEIPT.decode(payload)
    except msgspec.MsgspecError:
        return None


def _open(keys: dict[str, object], encoding: Encoding) -> bytes:
    """Encode `keys` and `simulated` so that exactly one more key can be appended."""
    keys["simulated"] = True
    if encoding is Encoding.JSON:
        return _JSON.encode(keys)[:-1]
    packed = _MSGPACK.encode(keys)
    if packed[0] & 0xF0 != 0x80 or packed[0] == 0x8F:  # up to 14 keys: the size is in the first byte
        raise ValueError("too many keys for a message")
    return bytes([packed[0] + 1]) + packed[1:]
