"""The simulator writes what the golden messages say, byte for byte or key for key, on its own."""

import json
from typing import Any

import msgspec
import pytest

from simulators.wire import (
    Columns,
    Encoding,
    Event,
    Receipt,
    close,
    decode_receipt,
    event_body,
    status,
    telemetry_body,
    without_held_from,
)
from tests.golden.cases import Golden, golden

MODES = ("running", "bolus", "stopped", "priming", "bridge", "minimum")
COMMON = {"boot", "seq", "time_ms", "type", "held_from", "simulated"}
OURS = [case for case in golden() if json.loads(case.json).get("simulated", True) and "unknown" not in case.name]


def written(case: Golden, encoding: Encoding) -> bytes:
    """Write the golden message anew from what it says."""
    said: dict[str, Any] = json.loads(case.json)
    if case.kind == "status":
        return status(online=said["online"], encoding=encoding)
    if case.kind == "event":
        further = {key: value for key, value in said.items() if key not in COMMON}
        body = event_body(said["boot"], said["seq"], Event(said["time_ms"], said["type"], further), encoding)
    else:
        columns = Columns(
            said["time_ms"],
            [MODES.index(mode) for mode in said["mode"]],
            *(said[key] for key in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v")),
            delivered_ul=said.get("delivered_ul"),
        )
        body = telemetry_body(said["boot"], said["seq"], columns, encoding)
    return close(body, tuple(said["held_from"]))


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.name)
def test_messages_are_written_as_the_golden_ones(case: Golden) -> None:
    expected = {**json.loads(case.json), "simulated": True}

    assert json.loads(written(case, Encoding.JSON)) == expected
    assert msgspec.msgpack.decode(written(case, Encoding.MSGPACK)) == expected


def test_held_from_can_be_left_open_until_a_message_is_sent() -> None:
    columns = Columns([1], [0], [0.5], [0.497], [17.93], [2.91])
    for encoding in Encoding:
        body = telemetry_body(7, 18042, columns, encoding)

        later = json.loads(without_held_from(body))

        assert "held_from" not in later
        assert later["seq"] == 18042
        decode = json.loads if encoding is Encoding.JSON else msgspec.msgpack.decode
        assert decode(close(body, (7, 17990))) == {**later, "held_from": [7, 17990]}


def test_a_message_has_at_least_one_reading_and_at_most_4096() -> None:
    for count in (0, 4097):
        columns = Columns(*([0] * count for _ in range(6)))
        with pytest.raises(ValueError, match="4096"):
            telemetry_body(1, 0, columns)


def test_columns_can_be_cut_and_joined_again() -> None:
    columns = Columns(
        [1, 2, 3], [0, 1, 0], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [9.0, 8.0, 7.0], [3.0, 2.9, 2.8], [1.0, 2.0, 3.0]
    )

    assert columns.part(0, 1).followed_by(columns.part(1, 3)) == columns
    assert columns._replace(delivered_ul=None).part(1, 2).delivered_ul is None


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"boot": 7}', b'{"boot": "7", "through": 1}', b"\xff", b"[7, 1]"])
def test_what_is_no_receipt_is_not_taken_for_one(payload: bytes) -> None:
    assert decode_receipt(payload) is None


def test_a_receipt_is_read() -> None:
    assert decode_receipt(b'{"boot": 7, "through": 18042}') == Receipt(7, 18042)
