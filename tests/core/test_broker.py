"""What a broker says of itself that must not be."""

from typing import Any

from service.core.broker import of_nats


def jetstream(*, storage: int = 0, held: int = 0, **limits: Any) -> dict[str, Any]:
    streams = [
        {"name": "$MQTT_sess", "state": {"bytes": 1}, "config": {"max_bytes": 1}},
        {"name": "$MQTT_msgs", "state": {"bytes": held}, "config": {"max_bytes": -1, "discard": "old", **limits}},
    ]
    return {
        "config": {"max_storage": 1000},
        "storage": storage,
        "account_details": [{"stream_detail": streams}, {"stream_detail": None}],
    }


def reasons(said: dict[str, Any]) -> list[str]:
    return [report.reason for report in of_nats(said)]


def test_a_store_that_is_nearly_full_is_told_of_before_it_is() -> None:
    assert reasons(jetstream(storage=799)) == []
    assert reasons(jetstream(storage=830)) == ["its store is 83% full; then pumps get no PUBACK"]
    assert reasons(jetstream(held=90, max_bytes=100, discard="new")) == [
        "what it holds for the service is 90% of what it may"
    ]


def test_a_limit_that_discards_what_was_confirmed_is_told_of_at_once() -> None:
    assert reasons(jetstream(max_bytes=100)) == ["$MQTT_msgs discards the oldest messages, which are confirmed"]
    assert reasons(jetstream(max_bytes=100, discard="new")) == []
    assert reasons(jetstream()) == [], "without a limit there is nothing to discard"


def test_what_is_not_said_is_no_trouble() -> None:
    assert reasons({}) == reasons({"config": {}, "account_details": [{}]}) == []
