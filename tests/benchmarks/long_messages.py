"""What do messages of any number of readings look like, as JSON and as MessagePack? Packets, built like the blaster's.

One of 60 is an hour of store-and-forward.
"""

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from tests.benchmarks.blaster import READING_EVERY_MS, TOPIC, WITH_SPACES, WITH_ZEROS, Packets

READINGS = 60
JSON, MESSAGEPACK = "json", "messagepack"

_TIME = b"TUUUUVVVVWWWW"
_KEYS = (
    (b"time_ms", _TIME),
    (b"mode", b'"running"'),
    (b"program_ml_d", b"0.5"),
    (b"flow_ml_d", b"0.4970"),
    (b"reservoir_ml", b"17.930"),
    (b"battery_v", b"2.91"),
)
# Numbers that MessagePack gives eight bytes, and that nothing else in a message looks like.
_SEQ, _TIME_0 = 0x7E11_5E9A_5E9A_5E9A, 0x7E11_7133_7133_7000


def packets_of(readings: int, form: str) -> Callable[..., Packets]:
    """Return what builds messages as `blaster.packets` does, each the next `readings` of its pump."""
    return partial({JSON: in_json, MESSAGEPACK: in_messagepack}[form], readings=readings)


def in_json(
    first: int,
    count: int,
    *,
    pumps: npt.NDArray[np.int64],
    newest_seq: int,
    now_ms: int,
    boot: int,
    readings: int = READINGS,
) -> Packets:
    """Build messages `first` to `first + count - 1`, one packet a row. `newest_seq` counts messages."""
    columns = b", ".join(b'"%s": [%s]' % (key, b",".join([cell] * readings)) for key, cell in _KEYS)
    template = _packet(
        b'{"boot": %d, "seq": SSSS, %s, "held_from": [%d, 0], "simulated": true}' % (boot, columns, boot)
    )
    block, turn = _block(template, first, count, pumps)
    _write(block, template, b"SSSS", WITH_SPACES[turn * readings])
    time_ms = _times(newest_seq - turn, now_ms, readings)
    at, width = template.index(_TIME), len(_TIME) + 1
    cells = np.empty((count, readings, width), np.uint8)
    cells[:, :, 0] = WITH_ZEROS[time_ms // 1_000_000_000_000][:, :, 3]
    cells[:, :, 1:5] = WITH_ZEROS[time_ms // 100_000_000 % 10_000]
    cells[:, :, 5:9] = WITH_ZEROS[time_ms // 10_000 % 10_000]
    cells[:, :, 9:13] = WITH_ZEROS[time_ms % 10_000]
    cells[:, :, 13] = ord(",")
    block[:, at : at + readings * width - 1] = cells.reshape(count, -1)[:, :-1]
    return block


def in_messagepack(
    first: int,
    count: int,
    *,
    pumps: npt.NDArray[np.int64],
    newest_seq: int,
    now_ms: int,
    boot: int,
    readings: int = READINGS,
) -> Packets:
    """Likewise, with the same keys and values."""
    said = {
        "boot": boot,
        "seq": _SEQ,
        "time_ms": [_TIME_0 + number for number in range(readings)],
        "mode": ["running"] * readings,
        "program_ml_d": [0.5] * readings,
        "flow_ml_d": [0.497] * readings,
        "reservoir_ml": [17.93] * readings,
        "battery_v": [2.91] * readings,
        "held_from": [boot, 0],
        "simulated": True,
    }
    template = _packet(msgspec.msgpack.encode(said))
    block, turn = _block(template, first, count, pumps)
    _write(block, template, _SEQ.to_bytes(8, "big"), _in_eight_bytes(turn * readings))
    time_ms = _times(newest_seq - turn, now_ms, readings)
    for number in range(readings):
        _write(block, template, (_TIME_0 + number).to_bytes(8, "big"), _in_eight_bytes(time_ms[:, number]))
    return block


def _packet(payload: bytes) -> bytes:
    body = b"".join((len(TOPIC).to_bytes(2, "big"), TOPIC, b"II", payload))
    length, left = b"", len(body)
    while left > 0x7F:
        length, left = length + bytes([left & 0x7F | 0x80]), left >> 7
    return b"\x32" + length + bytes([left]) + body


def _block(
    template: bytes, first: int, count: int, pumps: npt.NDArray[np.int64]
) -> tuple[Packets, npt.NDArray[np.int64]]:
    """The packets with their ids and topics, and the how many-th of its pump each is."""
    number = np.arange(first, first + count, dtype=np.int64)
    turn, served = np.divmod(number, len(pumps))
    pump = pumps[served]
    block = np.tile(np.frombuffer(template, np.uint8), (count, 1))
    _write(block, template, b"II", (number % 65535 + 1).astype(">u2").view(np.uint8).reshape(-1, 2))
    _write(block, template, b"##", WITH_ZEROS[pump // 10_000][:, 2:])
    _write(block, template, b"$$$$", WITH_ZEROS[pump % 10_000])
    return block, turn


def _write(block: Packets, template: bytes, placeholder: bytes, digits: Packets) -> None:
    at = template.index(placeholder)
    block[:, at : at + len(placeholder)] = digits


def _times(messages_later: npt.NDArray[np.int64], now_ms: int, readings: int) -> npt.NDArray[np.int64]:
    """[message, reading]."""
    newest_ms = now_ms - messages_later * readings * READING_EVERY_MS
    times: npt.NDArray[np.int64] = newest_ms[:, None] - np.arange(readings)[::-1] * READING_EVERY_MS
    return times


def _in_eight_bytes(numbers: npt.NDArray[np.int64]) -> Packets:
    return numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
