"""What no pump should send, between what pumps do send: kept aside, counted exactly, and nothing else is disturbed."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.embedded.nats import NatsServer
from tests.failures.broker import unsettled
from tests.failures.ingester import Ingester
from tests.failures.stage import MOSQUITTO, NATS, Broker
from tests.loops.driven import telemetry
from tests.malformed import malformed_messages
from tests.mqtt.publisher import Message, publish
from tests.patience import until_found, until_true

SEED = 17
MALFORMED, BROKEN, GOOD = 10_000, 1_200, 2_500
PUMPS = 20
KEPT_A_PUMP_A_DAY = 1_000


def good_messages() -> Iterator[Message]:
    for number in range(GOOD):
        seq, pump = divmod(number, PUMPS)
        yield f"pumps/v1/good-{pump}/telemetry".encode(), json.dumps(telemetry(seq, [1.0])).encode()


def stream() -> tuple[list[Message], Counter[str]]:
    """All messages, mixed, and how many of the malformed ones have which fault. One pump sends nothing but faults."""
    malformed = list(malformed_messages(MALFORMED, SEED))
    good, broken = good_messages(), islice(cycle([(b"pumps/v1/broken/telemetry", b"{")]), BROKEN)
    messages: list[Message] = []
    for number, (topic, payload, _) in enumerate(malformed):
        messages.append((topic, payload))
        if number % (MALFORMED // GOOD) == 0:
            messages += islice(good, 1)
        if number % (MALFORMED // BROKEN) == 0:
            messages += islice(broken, 1)
    return [*messages, *broken], Counter(reason for _, _, reason in malformed)


async def counts(connection: asyncpg.Connection, query: str) -> dict[Any, int]:
    return {row[0]: row[1] for row in await connection.fetch(query)}


@pytest.mark.parametrize("kind", [NATS, MOSQUITTO])
async def test_ten_thousand_malformed_messages_disturb_nobody(
    kind: str, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    broker: Broker = request.getfixturevalue(f"{kind}_server")
    messages, reasons = stream()
    ingester = Ingester(tmp_path / "ingester", postgres_url, broker.mqtt_url)
    connection = await asyncpg.connect(postgres_url)
    try:
        await ingester.start()
        await until_found(lambda: _hears(connection, life=1), "the ingester to hear")
        await publish(broker.mqtt_url, messages)
        await until_true(lambda: ingester.now("settled") >= len(messages), "everything to be settled")

        assert await counts(
            connection,
            "SELECT pump_id, count(DISTINCT position) FROM reading JOIN pump USING (pump) GROUP BY 1",
        ) == {f"good-{pump}": GOOD // PUMPS for pump in range(PUMPS)}
        assert await connection.fetchval("SELECT count(*) FROM reading") == GOOD
        assert await connection.fetchval("SELECT count(*) FROM pump") == PUMPS, "no pump comes into being by a fault"
        kept = "SELECT reason, count(*) FROM quarantine WHERE topic {} 'pumps/v1/broken/telemetry' GROUP BY 1"
        assert await counts(connection, kept.format("<>")) == reasons
        everything = "SELECT sum(messages) FROM quarantine_day"
        await until_found(  # what repeats itself is not read, and counted a second later
            lambda: connection.fetchval(everything),
            "all to be counted",
            enough=lambda found: found == MALFORMED + BROKEN,
        )
        by_day = await connection.fetch("SELECT messages FROM quarantine_day WHERE pump_id = 'broken'")
        assert sum(row["messages"] for row in by_day) == BROKEN
        of_broken = await counts(connection, kept.format("="))
        assert of_broken.keys() - {"repeated"} == {"truncated"}
        assert 0 < sum(of_broken.values()) <= sum(min(row["messages"], KEPT_A_PUMP_A_DAY) for row in by_day)

        assert await ingester.stop() == 0
        await ingester.start()
        await until_found(lambda: _hears(connection, life=2), "the ingester to hear again")
        if isinstance(broker, NatsServer):
            await until_true(lambda: unsettled(broker) == 0, "NATS to hold nothing back")
        assert ingester.now("settled") == 0, "nothing came again"
        assert await connection.fetchval("SELECT sum(messages) FROM quarantine_day") == MALFORMED + BROKEN
        assert "Traceback" not in ingester.log
        assert " error " not in ingester.log
    finally:
        await ingester.abandon()
        await connection.close()


async def _hears(connection: asyncpg.Connection, *, life: int) -> bool:
    """Its marker has come back, and with it all that the broker had for it."""
    heard = await connection.fetchval("SELECT marker_at IS NOT NULL FROM shard WHERE epoch = $1", life)
    return heard is True
