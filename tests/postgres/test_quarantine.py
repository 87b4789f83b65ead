"""What could not be understood is kept as it came, and a broken pump cannot fill the disk with it."""

import asyncio
import hashlib
from datetime import UTC, date, datetime

import asyncpg
import pytest

from service.core.decode import decode
from service.core.rejection import Reason, Rejection
from service.ports import RawMessage, Token
from service.postgres.quarantine import keep
from tests.malformed import FAULTS, malformed_messages

NOON_MS = 1795348800000  # 2026-11-22 12:00 UTC
DAY_MS = 86_400_000
TOPIC = b"pumps/v1/p1/telemetry"


def rejected(
    topic: bytes = TOPIC, payload: bytes = b"{", received_ms: int = NOON_MS, detail: str = "Input data was truncated"
) -> tuple[RawMessage, Rejection]:
    return RawMessage(Token(1, 1), topic, payload, received_ms), Rejection(0, Reason.TRUNCATED, detail)


async def kept(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch("SELECT * FROM quarantine ORDER BY id")
    return rows


async def counted(connection: asyncpg.Connection) -> dict[tuple[str, date], int]:
    return {(row["pump_id"], row["day"]): row["messages"] for row in await connection.fetch("TABLE quarantine_day")}


async def test_a_message_is_kept_with_its_bytes_its_hash_and_the_reason(connection: asyncpg.Connection) -> None:
    payload = bytes(range(256)) * 1024
    await keep(connection, [rejected(payload=payload, received_ms=NOON_MS + 1)])
    [row] = await kept(connection)
    assert row["received_at"] == datetime(2026, 11, 22, 12, 0, 0, 1000, UTC)
    assert (row["topic"], row["reason"], row["detail"]) == (TOPIC.decode(), "truncated", "Input data was truncated")
    assert (row["length"], row["head"]) == (len(payload), payload[: 64 * 1024])
    assert row["sha256"] == hashlib.sha256(payload).digest()


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        (b"pumps/v1/p\x00/telemetry", r"pumps/v1/p\x00/telemetry"),
        (b"pumps/v1/\xff\xfe/telemetry", r"pumps/v1/\xff\xfe/telemetry"),
        (b"pumps/v1/\xed\xa0\x80/x", r"pumps/v1/\xed\xa0\x80/x"),
        ("pumps/v1/pümpe/x\n".encode(), r"pumps/v1/pümpe/x\x0a"),
        (b"", ""),
        (b"x" * 65535, "x" * 1024),
    ],
)
async def test_any_topic_can_be_kept_and_read(connection: asyncpg.Connection, topic: bytes, shown: str) -> None:
    await keep(connection, [rejected(topic)])
    [row] = await kept(connection)
    assert row["topic"] == shown


async def test_what_exceeds_a_pumps_day_is_only_counted(connection: asyncpg.Connection) -> None:
    flood = [rejected(payload=str(number).encode()) for number in range(7)]
    quiet = rejected(b"shard/3/pumps/v1/p2/event")
    await keep(connection, flood[:3], kept_a_day=5)
    await keep(connection, [*flood[3:], quiet], kept_a_day=5)
    await keep(connection, [flood[0], rejected(received_ms=NOON_MS + DAY_MS)], kept_a_day=5)
    rows = await kept(connection)
    assert [bytes(row["head"]) for row in rows] == [b"0", b"1", b"2", b"3", b"4", b"{", b"{"]
    assert await counted(connection) == {
        ("p1", date(2026, 11, 22)): 8,
        ("p1", date(2026, 11, 23)): 1,
        ("p2", date(2026, 11, 22)): 1,
    }


async def test_topics_that_name_no_pump_share_one_allowance(connection: asyncpg.Connection) -> None:
    await keep(connection, [rejected(b"a/%d" % number) for number in range(5)], kept_a_day=3)
    assert len(await kept(connection)) == 3
    assert await counted(connection) == {("", date(2026, 11, 22)): 5}


async def test_a_batch_that_is_rolled_back_keeps_and_counts_nothing(connection: asyncpg.Connection) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await keep(connection, [rejected()])
    await transaction.rollback()
    assert await kept(connection) == []
    assert await counted(connection) == {}


async def test_two_ingesters_share_an_allowance_and_do_not_wait_for_each_other_for_ever(postgres_url: str) -> None:
    batches = [[rejected(b"pumps/v1/p%d/event" % pump) for pump in order] for order in (range(20), range(19, -1, -1))]

    async def ingester(batch: list[tuple[RawMessage, Rejection]]) -> None:
        connection = await asyncpg.connect(postgres_url)
        for _ in range(10):
            async with connection.transaction():
                await keep(connection, batch, kept_a_day=15)
        await connection.close()

    await asyncio.gather(*map(ingester, batches))
    connection = await asyncpg.connect(postgres_url)
    assert len(await kept(connection)) == 20 * 15
    assert set((await counted(connection)).values()) == {20}
    await connection.close()


async def test_every_kind_of_malformed_message_can_be_kept(connection: asyncpg.Connection) -> None:
    messages = [
        RawMessage(Token(1, number), topic, payload, NOON_MS)
        for number, (topic, payload, _) in enumerate(malformed_messages(2 * len(FAULTS), seed=3))
    ]
    decoded = decode(messages, {})
    await keep(connection, [(messages[rejection.message], rejection) for rejection in decoded.rejections])
    assert [row["reason"] for row in await kept(connection)] == [rejection.reason for rejection in decoded.rejections]
    assert [bytes(row["head"]) for row in await kept(connection)] == [
        message.payload[: 64 * 1024] for message in messages
    ]


async def test_a_bad_message_that_the_broker_delivers_again_counts_once(connection: asyncpg.Connection) -> None:
    reconnected_at = datetime.fromtimestamp(NOON_MS / 1000 + 60, UTC)
    await keep(connection, [rejected(), rejected()], reconnected_at=reconnected_at)
    again = [rejected(received_ms=NOON_MS + 61_000)] * 3
    await keep(
        connection,
        [*again, rejected(b"pumps/v1/p2/event", received_ms=NOON_MS + 61_000)],
        reconnected_at=reconnected_at,
    )
    assert await counted(connection) == {("p1", date(2026, 11, 22)): 3, ("p2", date(2026, 11, 22)): 1}
    await keep(connection, [rejected(received_ms=NOON_MS + 600_000)], reconnected_at=reconnected_at)
    assert len(await kept(connection)) == 5
