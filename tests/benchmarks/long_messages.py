"""What does an hour of store-and-forward look like on the wire? Packets of 60 readings, built like the blaster's."""

import numpy as np
import numpy.typing as npt

from tests.benchmarks.blaster import READING_EVERY_MS, TOPIC, WITH_SPACES, WITH_ZEROS, Packets

READINGS = 60

_TIME = b"TUUUUVVVVWWWW"
_KEYS = (
    (b"time_ms", _TIME),
    (b"mode", b'"running"'),
    (b"program_ml_d", b"0.5"),
    (b"flow_ml_d", b"0.4970"),
    (b"reservoir_ml", b"17.930"),
    (b"battery_v", b"2.91"),
)
_COLUMNS = b", ".join(b'"%s": [%s]' % (key, b",".join([cell] * READINGS)) for key, cell in _KEYS)
_PAYLOAD = b'{"boot": BBBBBB, "seq": SSSS, %s, "held_from": [BBBBBB, 0], "simulated": true}' % _COLUMNS


def packets(
    first: int, count: int, *, pumps: npt.NDArray[np.int64], newest_seq: int, now_ms: int, boot: int
) -> Packets:
    """Build messages as `blaster.packets` does, each the next 60 readings of its pump. `newest_seq` counts messages."""
    body = b"".join((len(TOPIC).to_bytes(2, "big"), TOPIC, b"II", _PAYLOAD.replace(b"BBBBBB", b"%6d" % boot)))
    template = b"\x32" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body
    number = np.arange(first, first + count, dtype=np.int64)
    turn, served = np.divmod(number, len(pumps))
    pump, seq = pumps[served], turn * READINGS
    block = np.tile(np.frombuffer(template, np.uint8), (count, 1))

    def write(placeholder: bytes, digits: Packets) -> None:
        at = template.index(placeholder)
        block[:, at : at + len(placeholder)] = digits

    write(b"II", (number % 65535 + 1).astype(">u2").view(np.uint8).reshape(-1, 2))
    write(b"##", WITH_ZEROS[pump // 10_000][:, 2:])
    write(b"$$$$", WITH_ZEROS[pump % 10_000])
    write(b"SSSS", WITH_SPACES[seq])

    newest_ms = now_ms - (newest_seq - turn) * READINGS * READING_EVERY_MS
    time_ms = newest_ms[:, None] - np.arange(READINGS)[::-1] * READING_EVERY_MS
    at, width = template.index(_TIME), len(_TIME) + 1
    cells = np.empty((count, READINGS, width), np.uint8)
    cells[:, :, 0] = WITH_ZEROS[time_ms // 1_000_000_000_000][:, :, 3]
    cells[:, :, 1:5] = WITH_ZEROS[time_ms // 100_000_000 % 10_000]
    cells[:, :, 5:9] = WITH_ZEROS[time_ms // 10_000 % 10_000]
    cells[:, :, 9:13] = WITH_ZEROS[time_ms % 10_000]
    cells[:, :, 13] = ord(",")
    block[:, at : at + READINGS * width - 1] = cells.reshape(count, -1)[:, :-1]
    return block
