"""One pump repeats a message as fast as it can: it is told of, and to all others it makes no difference."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.alerts import AlertStore
from service.postgres.standing import look_once
from tests.failures.ingester import Ingester
from tests.failures.receipts import Receipts
from tests.failures.stage import MOSQUITTO, NATS, Broker
from tests.loops.driven import telemetry
from tests.mqtt.publisher import Message, publish
from tests.patience import until_found, until_true
from tests.servers import mosquitto_binary

OTHERS, REPEATS = 10, 6_000
STALLING = [1.0] * 60 + [0.0] * 60
READINGS = len(STALLING)


def message(pump_id: str, seq: int, flows: list[float]) -> Message:
    return f"pumps/v1/{pump_id}/telemetry".encode(), json.dumps(telemetry(seq, flows)).encode()


@pytest.mark.parametrize("kind", [NATS, MOSQUITTO])
async def test_a_pump_that_repeats_one_message_for_ever_harms_nobody_and_its_new_readings_are_stored(
    kind: str, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == MOSQUITTO and mosquitto_binary() is None:
        pytest.skip("no mosquitto on this machine")
    broker: Broker = request.getfixturevalue(f"{kind}_server")
    ingester = Ingester(tmp_path / "ingester", postgres_url, broker.mqtt_url)
    connection = await asyncpg.connect(postgres_url)
    receipts = Receipts(broker.mqtt_url)
    try:
        await until_true(lambda: receipts.subscribed, "receipts to be listened for")
        await ingester.start()
        await until_found(
            lambda: connection.fetchval("SELECT marker_at IS NOT NULL FROM shard"), "the ingester to hear"
        )
        again = message("stuck", 0, [1.0] * 50)
        flood = publish(broker.mqtt_url, [*[again] * REPEATS, message("stuck", 50, [1.0] * 5), *[again] * REPEATS])
        pairs = [(seq, STALLING[seq : seq + 2]) for seq in range(0, READINGS, 2)]
        others = [
            publish(broker.mqtt_url, [message(f"p{pump}", seq, flows) for seq, flows in pairs])
            for pump in range(OTHERS)
        ]
        await asyncio.gather(flood, *others)
        sent = 2 * REPEATS + 1 + OTHERS * READINGS // 2
        await until_true(lambda: ingester.now("settled") >= sent, "everything to be settled")

        stored = await connection.fetch("SELECT pump_id, count(*) FROM reading JOIN pump USING (pump) GROUP BY 1")
        assert dict(map(tuple, stored)) == {f"p{pump}": READINGS for pump in range(OTHERS)} | {"stuck": 55}
        everybody_else = {f"p{pump}" for pump in range(OTHERS)}
        await until_found(
            lambda: connection.fetch("SELECT pump_id FROM alert JOIN pump USING (pump) WHERE condition = 'stall'"),
            "every stall to be told",
            enough=lambda rows: {row["pump_id"] for row in rows} == everybody_else,
        )
        due = {f"p{pump}": READINGS - 1 for pump in range(OTHERS)} | {"stuck": 54}
        await until_true(lambda: receipts.through == due, "everybody's receipt")
        assert ingester.counts["duplicates"] < 2 * REPEATS * 50, "some of it was not even read"
        aside = await connection.fetch("SELECT reason, count(*) FROM quarantine GROUP BY 1")
        assert [tuple(row) for row in aside] == [("repeated", 1)]

        async def told() -> list[str]:
            now = await connection.fetchval("SELECT now()")
            written = await look_once(connection, AlertStore(DEFAULT_RULEBOOK), DEFAULT_RULEBOOK, now)
            return [each.subject for each in written if each.condition == "repeating"]

        assert await until_found(told, "that the pump repeats itself") == ["pump:stuck"]
        assert await ingester.stop() == 0
        assert "Traceback" not in ingester.log
    finally:
        receipts.close()
        await ingester.abandon()
        await connection.close()
