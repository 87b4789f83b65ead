"""What NATS says of itself, asked of all nodes of a cluster of which some may be away."""

import pytest

from service.embedded.nats import NatsServer
from service.mqtt.monitor import ask_nats
from tests.mqtt.publisher import publish

NOBODY = "http://127.0.0.1:9"


async def test_a_node_that_is_away_keeps_nobody_from_asking_the_others(nats_server: NatsServer) -> None:
    await publish(nats_server.mqtt_url, [(b"pumps/v1/p1/telemetry", b"{}")])
    assert await ask_nats(nats_server.monitoring_url) == []
    [silent] = await ask_nats(f"{NOBODY},{nats_server.monitoring_url}")
    assert silent.reason == "its node at 127.0.0.1:9 does not answer"
    [all_silent] = await ask_nats(f"{NOBODY},{NOBODY}")
    assert "none of its nodes answers" in all_silent.reason
    with pytest.raises(OSError, match="Connect"):
        await ask_nats(NOBODY)
