"""Wire messages in, alerts out: the same as live, whatever the order of the lines."""

import random

import msgspec
import pytest

from service.core.backtest import Backtest, Finding, WireMessage, read_line
from service.core.change import Condition
from service.core.rulebook import DEFAULT_RULEBOOK
from tests.loops.driven import telemetry
from tests.pumps import NOON_MS, SENSOR

RECEIVED_MS = NOON_MS + 86_400_000


def line(pump_id: str, payload: dict[str, object]) -> WireMessage:
    return WireMessage(f"pumps/v1/{pump_id}/telemetry".encode(), RECEIVED_MS, msgspec.json.encode(payload))


def stream() -> list[WireMessage]:
    stalling, over = [1.0] * 60 + [0.0] * 60 + [1.0] * 80, [1.0] * 60 + [1.8] * 140
    return [
        line(pump_id, telemetry(seq, flows[seq : seq + 10]))
        for seq in range(0, 200, 10)
        for pump_id, flows in (("stalling", stalling), ("over", over), ("well", [1.0] * 200))
    ]


def found(messages: list[WireMessage], at_once: int = 1000) -> list[Finding]:
    backtest = Backtest(DEFAULT_RULEBOOK, [("stalling", SENSOR), ("over", SENSOR)])
    for at in range(0, len(messages), at_once):
        backtest.feed(messages[at : at + at_once])
    return backtest.finish()


def test_a_stream_is_judged_as_it_would_be_live() -> None:
    findings = found(stream())
    assert {(finding.pump_id, finding.condition) for finding in findings} == {
        ("stalling", Condition.STALL),
        ("over", Condition.OVER_DELIVERY_GROSS),
        ("over", Condition.OVER_DELIVERY),
    }
    stall = next(finding for finding in findings if finding.condition == Condition.STALL)
    assert stall.detected_ms - stall.began_ms == 29 * 60_000
    assert stall.ended_ms is not None
    assert stall.priority == "high"


@pytest.mark.parametrize("seed", range(5))
def test_the_order_and_the_size_of_the_portions_do_not_matter(seed: int) -> None:
    messages = stream()
    random.Random(seed).shuffle(messages)  # noqa: S311 - a shuffle, not a secret
    assert found(messages, at_once=1 + 7 * seed) == found(stream())


def test_repeated_messages_change_nothing() -> None:
    assert found([message for message in stream() for _ in range(2)], at_once=5) == found(stream())


def test_what_waits_behind_a_hole_is_judged_at_the_end() -> None:
    messages = [message for message in stream() if b'"seq":50' not in message.payload]
    assert {finding.condition for finding in found(messages)} >= {Condition.STALL}


def test_a_pump_outside_the_registry_is_judged_by_the_strictest_defaults() -> None:
    messages = [line("stranger", telemetry(0, [0.0] * 60))]
    (finding,) = found(messages)
    assert (finding.pump_id, finding.condition, finding.priority) == ("stranger", "stall", "high")


def test_a_line_says_topic_time_and_payload() -> None:
    read = read_line(b'{"topic": "pumps/v1/p1/telemetry", "received_ms": 5, "payload": {"boot": 1}}')
    assert (read.topic, read.received_ms, msgspec.json.decode(read.payload)) == (
        b"pumps/v1/p1/telemetry",
        5,
        {"boot": 1},
    )
    with pytest.raises(msgspec.DecodeError):
        read_line(b'{"topic": 5}')
