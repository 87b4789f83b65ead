"""The sessions of many shards as one inbox: what comes over each is settled on it, and a session outlives its owner."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from service.core.shards import SHARDS
from service.embedded.nats import NatsServer
from service.metrics import Metrics
from service.mqtt.inboxes import MqttInboxes
from service.ports import RawMessage
from tests.failures.broker import unsettled
from tests.mqtt.publisher import publish
from tests.patience import until_true


@pytest.fixture
async def inboxes(nats_server: NatsServer) -> AsyncIterator[list[MqttInboxes]]:
    made = [
        MqttInboxes(nats_server.mqtt_url, clock=lambda: datetime.now(UTC), metrics=Metrics(CollectorRegistry()))
        for _ in range(2)
    ]
    yield made
    for each in made:
        await each.close()


async def taken(inbox: MqttInboxes, count: int) -> list[RawMessage]:
    found: list[RawMessage] = []
    while len(found) < count:
        found += await inbox.drain(5_000, 1.0)
    return found


async def connected(inbox: MqttInboxes) -> None:
    await until_true(lambda: not inbox.problem, "all sessions to be there")


async def test_a_shard_moves_with_its_session_and_what_that_holds(
    inboxes: list[MqttInboxes], nats_server: NatsServer
) -> None:
    one, other = inboxes
    for shard in (1, 2):
        await one.add(shard, recorded=False)
    await connected(one)
    await publish(nats_server.mqtt_url, [(b"shard/%d/pumps/v1/p/telemetry" % (n % 2 + 1), b"%d" % n) for n in range(6)])

    messages = await taken(one, 6)
    assert {message.token.connection % SHARDS for message in messages} == {1, 2}
    one.settle([message.token for message in messages])
    assert one.is_settled(1)
    assert one.is_settled(2)
    await until_true(lambda: unsettled(nats_server) == 0, "everything to be settled")

    await one.remove(2)
    assert one.statuses.keys() == {1}
    await publish(nats_server.mqtt_url, [(b"shard/2/pumps/v1/p/telemetry", b"while nobody has it")])
    await other.add(2, recorded=True)
    await connected(other)
    (message,) = await taken(other, 1)
    assert message.payload == b"while nobody has it"
    other.settle([message.token])
    await until_true(lambda: unsettled(nats_server) == 0, "that to be settled too")
    assert other.statuses[2].session_lost_at is None
