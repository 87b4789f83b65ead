"""Messages for the tests of decoding: sound ones, to be changed at will."""

import json
from typing import Any, NamedTuple

PUMPS = {b"p1": 0, b"p2": 1}
START_MS = 1795376926000
RECEIVED_MS = 1795376927500


class Message(NamedTuple):
    topic: bytes
    payload: bytes
    received_ms: int = RECEIVED_MS


def telemetry(keys: dict[str, Any], pump_id: str = "p1") -> Message:
    return Message(f"pumps/v1/{pump_id}/telemetry".encode(), json.dumps(keys).encode())


def event(keys: dict[str, Any], pump_id: str = "p1") -> Message:
    return Message(f"pumps/v1/{pump_id}/event".encode(), json.dumps(keys).encode())


def status(*, online: bool, pump_id: str = "p1") -> Message:
    return Message(f"pumps/v1/{pump_id}/status".encode(), json.dumps({"online": online}).encode())


def readings(count: int = 1, seq: int = 100, **changed: Any) -> dict[str, Any]:
    """The keys of a message of `count` readings, a minute apart, from position (7, seq) on."""
    keys: dict[str, Any] = {
        "boot": 7,
        "seq": seq,
        "time_ms": [START_MS + 60_000 * number for number in range(count)],
        "mode": ["running"] * count,
        "program_ml_d": [0.5] * count,
        "flow_ml_d": [round(0.49 + 0.001 * (number % 20), 4) for number in range(count)],
        "reservoir_ml": [17.93] * count,
        "battery_v": [2.91] * count,
        "held_from": [7, 0],
    }
    return keys | changed


def refill(seq: int = 100, **changed: Any) -> dict[str, Any]:
    keys = {
        "boot": 7,
        "seq": seq,
        "time_ms": START_MS,
        "type": "refill",
        "reservoir_after_ml": 19.5,
        "held_from": [7, 0],
    }
    return keys | changed
