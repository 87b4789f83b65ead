"""When brokers may hold no more, pumps are refused and keep what they have, and all goes on by itself afterwards."""

from pathlib import Path

from service.embedded.postgres import PostgresServer
from service.exits import EXIT_OK
from service.mqtt.jetstream import limit_stream
from tests.failures.cluster.stage import ClusterStage, cluster_stage, watching
from tests.failures.run import Run
from tests.failures.stage import Load
from tests.nats_cluster import STREAM
from tests.patience import until_found, until_true

SMALL = Load(pumps=32, hours=1.0, rate=500, seed=3)
LIMIT_BYTES = 150_000
_ALERT = "SELECT true FROM alert WHERE condition = 'broker_dropping' AND state = 'active'"


async def test_a_full_stream_refuses_pumps_and_drains_by_itself(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Nothing that has a receipt is lost, the alert comes, and all goes on once somebody takes what is held."""
    async with cluster_stage(tmp_path, postgres_server, SMALL) as here, watching(here):
        limit_stream(here.broker.nats_url, LIMIT_BYTES)
        for one in here.ingester.each:
            assert await one.stop() == EXIT_OK
        async with here.fleet.running(here.broker.mqtt_url):
            await until_true(lambda: _is_full(here), "the stream to be full")
            await until_found(lambda: here.connection.fetchval(_ALERT), "the alert")
            for one in here.ingester.each:
                await one.start()
            report = await here.fleet.end()
        outcome = await Run(here, seed=1, after_readings=(0, 0))._outcome(report, 0.0)
        assert outcome.problems == []
        assert report.tally["disconnects"] > 0, "pumps were refused"
        assert not _is_full(here)


def _is_full(here: ClusterStage) -> bool:
    """Beyond that point a message does not fit any more."""
    held = [node.streams().get(STREAM, {}).get("state", {}).get("bytes", 0) for node in here.broker.nodes]
    return max(held) > LIMIT_BYTES - 10_000
