"""The order to end comes in the middle of it: what was received is settled or left to the broker, and nothing twice."""

import asyncio
import json
from collections.abc import Iterable
from functools import partial
from operator import lt
from pathlib import Path

import asyncpg
import pytest

from service.embedded.nats import NatsServer
from tests.failures.ingester import Ingester
from tests.failures.stage import MOSQUITTO, NATS, Broker
from tests.loops.driven import telemetry
from tests.mqtt.publisher import publish
from tests.patience import until_found, until_true
from tests.servers import mosquitto_binary

PUMPS, EACH, STOPS = 20, 200, 2
ALL = PUMPS * EACH * STOPS
ACK_WAIT = "5s"  # what was delivered and is not settled NATS sends again only after this, whoever connects meanwhile


def _said(pump: int, seqs: Iterable[int]) -> list[tuple[bytes, bytes]]:
    topic = f"pumps/v1/p{pump}/telemetry".encode()
    return [(topic, json.dumps(telemetry(seq, [1.0])).encode()) for seq in seqs]


@pytest.mark.parametrize("kind", [NATS, MOSQUITTO])
async def test_a_stop_in_the_middle_of_load_settles_what_is_stored_and_leaves_the_rest_to_the_broker(
    kind: str, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == MOSQUITTO and mosquitto_binary() is None:
        pytest.skip("no mosquitto on this machine")
    broker: Broker = NatsServer(tmp_path / "nats", ack_wait=ACK_WAIT)
    if kind == NATS:
        broker.start()
    else:
        broker = request.getfixturevalue("mosquitto_server")
    ingester = Ingester(tmp_path / "ingester", postgres_url, broker.mqtt_url)
    connection = await asyncpg.connect(postgres_url)

    async def stored() -> int:
        return int(await connection.fetchval("SELECT count(*) FROM reading"))

    try:
        await ingester.start()
        await until_found(
            lambda: connection.fetchval("SELECT marker_at IS NOT NULL FROM shard"), "the ingester to hear"
        )
        for stop in range(STOPS):
            seqs = range(stop * EACH, (stop + 1) * EACH)
            fleet = [asyncio.create_task(publish(broker.mqtt_url, _said(pump, seqs))) for pump in range(PUMPS)]
            await until_true(lambda: ingester.now("stored") > 0, f"some to be stored before stop {stop + 1}")
            assert await ingester.stop() == 0
            assert ingester.counts["settled"] >= await stored(), "what is stored is settled before the end"
            epoch = await connection.fetchval("SELECT epoch FROM shard")
            await ingester.start()
            await asyncio.gather(*fleet)
            await until_found(
                lambda: connection.fetchval("SELECT epoch FROM shard"),
                "the next to begin, since before it does not listen to orders",
                enough=partial(lt, epoch),
            )
        await until_found(stored, "everything to be stored", enough=lambda now: now == ALL)
        await until_true(lambda: ingester.counts["settled"] >= ALL, "everything to be settled")
        assert ingester.counts["stored"] == ALL, "nothing was stored twice"
        assert await connection.fetchval("SELECT count(DISTINCT (pump, position)) FROM reading") == ALL
        assert await ingester.stop() == 0
        assert "Traceback" not in ingester.log
    finally:
        await ingester.abandon()
        await connection.close()
        if kind == NATS:
            broker.stop()
