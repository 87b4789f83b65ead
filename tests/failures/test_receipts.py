"""A receipt says that a reading is stored, and that it will be judged: whatever becomes of the process meanwhile."""

from pathlib import Path

import asyncpg
import msgspec

from service.embedded.nats import NatsServer
from tests.failures.broker import unsettled
from tests.failures.ingester import Ingester
from tests.failures.receipts import Receipts
from tests.loops.driven import telemetry
from tests.mqtt.publisher import publish
from tests.patience import until_found, until_true

READINGS = 4_000  # in one message: stored and receipted at once, and judged over many turns
STALL = 60
_STALLED = "SELECT pump_id FROM alert JOIN pump USING (pump) WHERE condition = 'stall' AND state = 'active'"


async def test_what_was_receipted_before_it_was_judged_is_judged_although_the_ingester_was_killed(
    postgres_url: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    """A backlog is stored and receipted at once and judged over many turns; its fault stands at its very end."""
    ingester = Ingester(tmp_path / "ingester", postgres_url, nats_server.mqtt_url)
    connection = await asyncpg.connect(postgres_url)
    receipts = Receipts(nats_server.mqtt_url)
    try:
        await until_true(lambda: receipts.subscribed, "receipts to be listened for")
        await ingester.start()
        await until_found(
            lambda: connection.fetchval("SELECT marker_at IS NOT NULL FROM shard"), "the ingester to hear"
        )
        flows = [1.0] * (READINGS - STALL) + [0.0] * STALL
        async with connection.transaction():
            await connection.execute("LOCK TABLE alert IN EXCLUSIVE MODE")  # until then nothing can be told
            await publish(
                nats_server.mqtt_url, [(b"pumps/v1/p1/telemetry", msgspec.msgpack.encode(telemetry(0, flows)))]
            )
            await until_true(lambda: receipts.through == {"p1": READINGS - 1}, "everything to be receipted")
            await until_true(lambda: unsettled(nats_server) == 0, "the broker to hold nothing that could come again")
            await ingester.kill()
        assert await connection.fetch(_STALLED) == []

        await ingester.start()
        await until_found(lambda: connection.fetch(_STALLED), "the stall to be told")
        assert ingester.now("settled") == 0, "nothing came again: the store alone knew"
        assert await connection.fetchval("SELECT count(*) FROM reading") == READINGS
        assert "Traceback" not in ingester.log
    finally:
        receipts.close()
        await ingester.abandon()
        await connection.close()
