"""What the pumps say is understood whole or kept aside whole, whatever the bytes."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.decode import Decoded, decode
from service.core.reading import EventType, Mode, position_of
from service.core.rejection import Reason
from tests.core.messages import PUMPS, RECEIVED_MS, Message, event, readings, refill, status, telemetry
from tests.golden.cases import Golden, golden
from tests.malformed import FAULTS, malformed_messages

STORED_AS = {"program_ml_d": "f4", "flow_ml_d": "f4", "reservoir_ml": "f4", "battery_v": "f4", "delivered_ul": "f8"}


def only(message: Message) -> Decoded:
    return decode([message], PUMPS)


def reasons(messages: Sequence[Message]) -> list[tuple[int, Reason]]:
    return [(rejection.message, rejection.reason) for rejection in decode(messages, PUMPS).rejections]


def names(items: np.ndarray, field: str, kind: type[Mode] | type[EventType]) -> list[str | None]:
    return [kind(number).name.lower() if number >= 0 else None for number in items[field].tolist()]


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("case", golden(), ids=lambda case: case.name)
def test_every_golden_message_means_what_is_written_beside_it(case: Golden, encoding: str) -> None:
    decoded = only(Message(b"pumps/v1/p2/" + case.kind.encode(), getattr(case, encoding)))
    assert decoded.rejections == []
    if case.kind == "status":
        assert decoded.statuses == [(0, case.expected["online"])]
        assert len(decoded.items) == 0
        return
    items, columns = decoded.items, case.expected["columns"]
    assert decoded.held_from.tolist() == [case.expected["held_from"]]
    assert decoded.simulated.tolist() == [case.expected["simulated"]]
    assert set(items["pump"].tolist()) == {PUMPS[b"p2"]}
    assert set(items["received_ms"].tolist()) == {RECEIVED_MS}
    assert items["position"].tolist() == columns["position"]
    assert items["device_ms"].tolist() == columns["device_ms"] == items["measured_ms"].tolist()
    assert names(items, "mode", Mode) == columns["mode"]
    assert names(items, "kind", EventType) == columns.get("type", ["reading"] * len(items))
    for name, stored in STORED_AS.items():
        expected = columns.get(name) or [np.nan] * len(items)
        np.testing.assert_array_equal(items[name], np.array(expected, stored).astype("f8"), name)
    value = columns.get("value", [None] * len(items))
    np.testing.assert_array_equal(items["value"], np.array(value, "f8"))
    bodies = {index: json.loads(body) for index, body in decoded.bodies.items()}
    assert bodies == ({0: case.expected["body"]} if case.kind == "event" else {})


def test_every_malformed_message_is_kept_aside_for_its_exact_reason() -> None:
    malformed = list(malformed_messages(40 * len(FAULTS), seed=20261122))
    decoded = decode([Message(topic, payload) for topic, payload, _ in malformed], {})
    found = {rejection.message: rejection for rejection in decoded.rejections}
    assert len(found) == len(decoded.rejections) == len(malformed)
    told = {found[index].reason: found[index].detail for index in found}
    assert [found[index].reason for index in range(len(malformed))] == [reason for _, _, reason in malformed], told
    assert all(0 < len(detail) <= 200 and detail.isprintable() for detail in told.values())
    assert decoded.unknown_pumps == {}, "nobody is enrolled for talking nonsense"


def test_sound_messages_between_bad_ones_are_whole_and_in_order() -> None:
    bad = [Message(topic, payload) for topic, payload, _ in malformed_messages(3 * len(FAULTS), seed=7)]
    good = [
        telemetry(readings(1, seq=100)),
        event(refill(seq=101)),
        telemetry(readings(60, seq=102), "p2"),
        telemetry(readings(1, seq=103, delivered_ul=[4.5])),
        telemetry(readings(7, seq=104)),
        telemetry(readings(60, seq=200, delivered_ul=[9.25] * 60)),
        event(refill(seq=300), "p2"),
    ]
    mixed = [message for number, one in enumerate(good) for message in (*bad[number::7], one)]
    places = [mixed.index(one) for one in good]

    alone, among = decode(good, PUMPS), decode(mixed, PUMPS)

    assert len(among.rejections) == len(bad)
    moved = among.items.copy()
    moved["message"] = [places.index(message) for message in among.items["message"]]
    assert moved.tobytes() == alone.items.tobytes()
    assert np.all(np.diff(among.items["message"]) >= 0)
    assert among.held_from[places].tolist() == [position_of(7, 0)] * len(good)
    assert np.delete(among.held_from, places).max() == -1
    assert set(among.bodies) == {places[1], places[6]}


def test_a_message_says_the_same_in_one_piece_and_reading_by_reading() -> None:
    whole = readings(9, seq=100, delivered_ul=[float(number) for number in range(9)])
    singles = [
        {key: [value[at]] if isinstance(value, list) and key != "held_from" else value for key, value in whole.items()}
        | {"seq": 100 + at}
        for at in range(9)
    ]
    together = only(telemetry(whole)).items
    apart = decode([telemetry(keys) for keys in singles], PUMPS).items
    apart["message"] = 0
    assert together.tobytes() == apart.tobytes()


def test_one_bad_reading_keeps_its_whole_message_aside() -> None:
    flow = [0.5] * 60
    flow[17] = -0.1
    decoded = decode([telemetry(readings(60, flow_ml_d=flow)), telemetry(readings(60, seq=200))], PUMPS)
    assert set(decoded.items["message"].tolist()) == {1}
    [rejection] = decoded.rejections
    assert (rejection.message, rejection.reason) == (0, Reason.OUT_OF_RANGE)
    assert rejection.detail == "flow_ml_d[17] is -0.1, not 0 to 100000"


def test_a_message_with_several_faults_is_counted_once() -> None:
    keys = readings(2, flow_ml_d=[-1, 0.5], battery_v=[99, 99], time_ms=[2, 1], held_from=[9, 0])
    assert reasons([telemetry(keys)]) == [(0, Reason.OUT_OF_RANGE)]


def test_pumps_that_nobody_registered_are_set_apart_until_they_are() -> None:
    messages = [
        telemetry(readings(2)),
        telemetry(readings(2), "new-1"),
        event(refill(), "new-2"),
        telemetry(readings(2, battery_v=[-1, 1]), "new-3"),
        status(online=True, pump_id="new-1"),
        status(online=False),
    ]
    decoded = decode(messages, PUMPS)
    assert decoded.unknown_pumps == {b"new-1": [1, 4], b"new-2": [2]}
    assert [rejection.message for rejection in decoded.rejections] == [3]
    assert set(decoded.items["message"].tolist()) == {0}
    assert decoded.held_from[1:].max() == -1
    assert decoded.bodies == {}
    assert decoded.statuses == [(5, False)]

    enrolled = decode(messages, PUMPS | {b"new-1": 2, b"new-2": 3, b"new-3": 4})
    assert enrolled.unknown_pumps == {}
    assert enrolled.items["pump"].tolist() == [0, 0, 2, 2, 3]
    assert enrolled.statuses == [(4, True), (5, False)]


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (b"pumps/v1/p1/telemetry", None),
        (b"shard/0/pumps/v1/p1/telemetry", None),
        (b"shard/63/pumps/v1/p1/telemetry", None),
        (b"pumps/v1/%b/telemetry" % (b"x" * 64), None),
        (b"pumps/v1/%b/telemetry" % (b"x" * 65), Reason.BAD_TOPIC),
        (b"pumps/v1//telemetry", Reason.BAD_TOPIC),
        (b"pumps/v1/p1", Reason.BAD_TOPIC),
        (b"pumps/v2/p1/telemetry", Reason.BAD_TOPIC),
        (b"shard/x/pumps/v1/p1/telemetry", Reason.BAD_TOPIC),
        (b"/pumps/v1/p1/telemetry", Reason.BAD_TOPIC),
        (b"pumps/v1/p1/telemetry/", Reason.BAD_TOPIC),
        (b"pumps/v1/p1\n/telemetry", Reason.BAD_TOPIC),
        (b"pumps/v1/p\xff1/telemetry", Reason.BAD_TOPIC),
        (b"pumps/v1/p\x001/telemetry", Reason.BAD_TOPIC),
        (b"pumps/v1/p1/" + b"x" * 65000, Reason.BAD_TOPIC),
        (b"", Reason.BAD_TOPIC),
        (b"pumps/v1/p1/command", Reason.UNKNOWN_KIND),
        (b"pumps/v1/p1/", Reason.UNKNOWN_KIND),
        (b"pumps/v1/p1/telemetry\n", Reason.UNKNOWN_KIND),
        (b"pumps/v1/p1/\xff\x00", Reason.UNKNOWN_KIND),
    ],
)
def test_topics_are_read_strictly(topic: bytes, reason: Reason | None) -> None:
    decoded = decode([Message(topic, telemetry(readings()).payload)], PUMPS | {b"x" * 64: 5})
    assert [rejection.reason for rejection in decoded.rejections] == ([reason] if reason else [])
    assert len(decoded.items) == (reason is None)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{" + b" " * 10_000_000 + b"}", Reason.TOO_LARGE),
        (bytes(10_000_000), Reason.TOO_LARGE),
        (json.dumps(readings(100_000)).encode(), Reason.TOO_LARGE),
        (b" " * (256 * 1024 + 1), Reason.TOO_LARGE),
        (b" " * (256 * 1024), Reason.TRUNCATED),
        (b"\xdd\xff\xff\xff\xff", Reason.NOT_AN_OBJECT),
        (b"\xdf\xff\xff\xff\xff", Reason.TRUNCATED),
        (b"\x81\xa7time_ms\xdd\xff\xff\xff\xff", Reason.TRUNCATED),
        (b"\x81\xa4mode\x91\xdb\xff\xff\xff\xff", Reason.TRUNCATED),
        (b'{"boot":' + b"9" * 200_000 + b"}", Reason.OUT_OF_RANGE),
        (b'{"x":' + b"[" * 250_000, Reason.TOO_DEEP),
        (b"\x81\xa1x" + b"\x91" * 250_000, Reason.TOO_DEEP),
        (b"\x82\x01\x02\x03\x04", Reason.WRONG_TYPE),
        (b"\x81\xa1x\xc1", Reason.MALFORMED),
        (b"\xef\xbb\xbf{}", Reason.NOT_AN_OBJECT),
    ],
    ids=lambda value: value if isinstance(value, Reason) else "",
)
def test_no_payload_is_too_much(payload: bytes, reason: Reason) -> None:
    assert reasons([Message(b"pumps/v1/p1/telemetry", payload)]) == [(0, reason)]


def test_as_many_readings_as_are_allowed_are_taken() -> None:
    keys = readings(4096) | {"flow_ml_d": [0] * 4096, "battery_v": [3] * 4096, "reservoir_ml": [1] * 4096}
    decoded = only(telemetry(keys))
    assert (len(decoded.items), decoded.rejections) == (4096, [])
    assert decoded.items["position"][-1] == position_of(7, 100 + 4095)


def test_an_empty_batch_is_a_batch() -> None:
    decoded = decode([], PUMPS)
    assert len(decoded.items) == len(decoded.held_from) == len(decoded.rejections) == 0


GOLDEN = golden()
PAYLOADS = [payload for case in GOLDEN for payload in (case.json, case.msgpack)]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A golden payload with some bytes replaced, removed or put in."""
    payload = bytearray(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(payload)))
        payload[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


@st.composite
def with_other_values(draw: st.DrawFn) -> bytes:
    """A golden payload with some keys' values replaced by anything."""
    case = draw(st.sampled_from(GOLDEN))
    keys: dict[str, Any] = json.loads(case.json)
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(keys)))
        if isinstance(keys[name], list) and keys[name] and draw(st.booleans()):
            keys[name][draw(st.integers(0, len(keys[name]) - 1))] = draw(ANY_JSON)
        else:
            keys[name] = draw(ANY_JSON)
    try:
        return msgspec.msgpack.encode(keys) if draw(st.booleans()) else json.dumps(keys).encode()
    except (OverflowError, UnicodeEncodeError):  # what MessagePack cannot hold
        return json.dumps(keys).encode()


SOUND = telemetry(readings(3))
SOUND_ITEMS = only(SOUND).items


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(["telemetry", "event", "status"]),
    st.binary(max_size=200) | mutated() | with_other_values(),
)
def test_nothing_raises_and_the_next_message_is_unharmed(kind: str, payload: bytes) -> None:
    decoded = decode([Message(f"pumps/v1/p2/{kind}".encode(), payload), SOUND], PUMPS)
    assert [rejection.message for rejection in decoded.rejections] in ([], [0])
    neighbour = decoded.items[decoded.items["message"] == 1]
    neighbour["message"] = 0
    assert neighbour.tobytes() == SOUND_ITEMS.tobytes()
    said = decoded.items[decoded.items["message"] == 0]
    is_reading = said["kind"] == EventType.READING
    for name in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v"):
        assert np.all(np.isfinite(said[name][is_reading]))
    assert np.all(np.diff(said["device_ms"]) >= 0)
    assert np.all(np.diff(said["position"]) == 1)
    for body in decoded.bodies.values():
        assert b"\\u0000" not in body


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80))
def test_no_topic_raises(topic: bytes) -> None:
    decode([Message(topic, SOUND.payload), Message(b"pumps/v1/" + topic, b"{}")], PUMPS)
