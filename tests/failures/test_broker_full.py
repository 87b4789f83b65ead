"""NATS has room for so much and no more: that is told of while pumps are refused, and over once the service has drained
it. Nobody restarts the broker.

Its stream is limited below its store, as docs/operations.md says: with a store that is full it lets nobody in at all.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from service.embedded.nats import NatsServer
from service.mqtt.jetstream import limit_stream
from service.mqtt.monitor import ask_nats
from service.postgres.alerts import AlertStore
from service.postgres.broker import record
from service.postgres.way import look_once
from tests.failures.broker import unsettled
from tests.failures.ingester import Ingester
from tests.loops.driven import telemetry
from tests.mqtt.publisher import Message, publish
from tests.patience import until_found, until_true

ROOM = 2_000_000
LIMIT = ROOM * 8 // 10
A_MESSAGE = 60
STORE = AlertStore(DEFAULT_RULEBOOK)


class SmallNats(NatsServer):
    def _configuration(self) -> str:
        return super()._configuration().replace("jetstream {", f"jetstream {{ max_file_store: {ROOM},")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallNats]:
    server = SmallNats(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


def message(number: int) -> Message:
    return b"pumps/v1/p1/telemetry", json.dumps(telemetry(number * A_MESSAGE, [1.0] * A_MESSAGE)).encode()


A_WINDOW = 200
MORE = 2 * ROOM // len(message(0)[1])


async def look(connection: asyncpg.Connection, broker: NatsServer, now: datetime) -> list[tuple[str, str]]:
    """As the watch role does: ask the broker, write down what it says, tell what follows."""
    await record(connection, await ask_nats(broker.monitoring_url), now)
    written = await look_once(connection, STORE, [], timedelta(days=1), now)
    return [(str(each.condition), each.event) for each in written]


async def test_a_store_that_fills_is_told_of_and_over_once_it_is_drained(
    small: SmallNats, postgres_url: str, tmp_path: Path
) -> None:
    ingester = Ingester(tmp_path / "ingester", postgres_url, small.mqtt_url)
    connection = await asyncpg.connect(postgres_url)
    now = datetime.now(UTC)
    try:
        await ingester.start()
        await until_found(
            lambda: connection.fetchval("SELECT marker_at IS NOT NULL FROM shard"), "the ingester to hear"
        )
        limit_stream(f"nats://127.0.0.1:{small.nats_port}", LIMIT)
        assert await look(connection, small, now) == []
        await ingester.kill()

        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):  # it takes so much, and then closes
            await publish(small.mqtt_url, [message(number) for number in range(MORE)])
        assert await look(connection, small, now) == [("broker_dropping", "condition_began")]
        reason = await connection.fetchval("SELECT evidence ->> 'reason' FROM alert")
        assert re.search("what it holds for the service is (8|9|10)\\d% of what it may", reason), reason

        await ingester.start()
        await until_true(lambda: unsettled(small) == 0, "all that it had taken to be drained")
        await until_found(
            lambda: ask_nats(small.monitoring_url), "the store to have room", enough=lambda reports: not reports
        )
        for first in range(0, MORE, A_WINDOW):  # a pump sends again what has no receipt, a window at a time
            await publish(small.mqtt_url, [message(number) for number in range(first, min(first + A_WINDOW, MORE))])
            await until_true(lambda: unsettled(small) == 0, "a window to be settled")
        await until_found(
            lambda: connection.fetchval("SELECT count(*) FROM reading"),
            "everything to be stored",
            enough=lambda stored: stored == MORE * A_MESSAGE,
        )
        assert await look(connection, small, now + timedelta(minutes=11)) == [("broker_dropping", "condition_ended")]
        assert "Traceback" not in ingester.log
    finally:
        await ingester.abandon()
        await connection.close()
