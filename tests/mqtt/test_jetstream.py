"""The limit of the stream that holds what pumps have sent."""

import pytest

from service.embedded.nats import NatsServer
from service.mqtt.jetstream import RefusedByNatsError, limit_stream
from tests.mqtt.publisher import publish


async def test_the_stream_is_bounded_and_refuses_rather_than_forgets(nats_server: NatsServer) -> None:
    await publish(nats_server.mqtt_url, [(b"pumps/v1/p1/telemetry", b"{}")])

    config = limit_stream(f"nats://127.0.0.1:{nats_server.nats_port}", 1_000_000)["config"]

    assert (config["max_bytes"], config["discard"]) == (1_000_000, "new")


def test_before_anybody_has_connected_there_is_nothing_to_limit(nats_server: NatsServer) -> None:
    with pytest.raises(RefusedByNatsError, match="stream not found"):
        limit_stream(f"nats://127.0.0.1:{nats_server.nats_port}", 1_000_000)
