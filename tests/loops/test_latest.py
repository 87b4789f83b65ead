"""What was last heard is written beside the batches: they wait for nothing, and the marker never runs ahead of it."""

import asyncpg
import pytest

from service.core.reading import position_of
from service.loops import latest
from service.postgres.readings import instant
from tests.loops.driven import Driven, telemetry
from tests.patience import until_found


async def test_a_batch_goes_on_while_what_was_heard_cannot_be_written(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("p1", telemetry(0, [1.0]))
    await driven.turn()
    async with connection.transaction():
        await connection.execute("LOCK TABLE pump_latest")
        driven.now_ms += 1_000
        driven.send("p1", telemetry(1, [1.0]))
        await driven.ingester.turn()
        assert driven.feed.settled == [1, 2]
    await driven.ingester.last_heard.save()
    assert await connection.fetchval("SELECT position FROM pump_latest") == position_of(1, 1)


async def test_the_marker_is_written_after_what_was_heard_before_it(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("p1", telemetry(0, [1.0]))
    await driven.turn()
    async with connection.transaction():
        await connection.execute("LOCK TABLE pump_latest")
        driven.now_ms += 1_000
        driven.send("p1", telemetry(1, [1.0]))
        driven.feed.marker_seen_at = instant(driven.now_ms)
        await driven.ingester.turn()
        assert await connection.fetchval("SELECT marker_at FROM shard") is None

    async def marker() -> object:
        return await connection.fetchval("SELECT marker_at FROM shard")

    assert await until_found(marker, "the marker") == driven.feed.marker_seen_at
    assert await connection.fetchval("SELECT received_at FROM pump_latest") == driven.feed.marker_seen_at


async def test_a_large_fleet_is_written_in_parts(driven: Driven, connection: asyncpg.Connection) -> None:
    pumps = latest.AT_ONCE + 10
    for number in range(pumps):
        driven.send(f"p{number}", telemetry(0, [1.0]))
    await driven.turn()
    await driven.wait_ms(1_000)
    assert await connection.fetchval("SELECT count(*) FROM pump_latest") == pumps
    assert not driven.fleet.unsaved.any()


async def test_of_a_fleet_that_speaks_as_a_whole_so_much_is_written_a_second_and_the_marker_at_the_end(
    driven: Driven, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "AT_ONCE", 4)
    monkeypatch.setattr(latest, "LONGEST_ROUND_S", 3)
    pumps = 15
    for number in range(pumps):
        driven.send(f"p{number}", telemetry(0, [1.0]))
    driven.feed.marker_seen_at = seen_at = instant(driven.now_ms)
    await driven.turn()  # which is the first second, too

    async def told() -> tuple[int, object]:
        return tuple(await connection.fetchrow("SELECT (SELECT count(*) FROM pump_latest), marker_at FROM shard"))

    assert await told() == (5, None)
    driven.feed.marker_seen_at = instant(driven.now_ms + 1_000)  # what was heard before it is not all written
    driven.send("p0", telemetry(1, [1.0]))
    await driven.turn()
    driven.feed.problem = "a problem is told at once"
    await driven.wait_ms(1_000)
    assert await told() == (10, None)
    assert await connection.fetchval("SELECT reason FROM shard") == driven.feed.problem
    await driven.wait_ms(1_000)
    assert await told() == (15, seen_at)
    assert driven.fleet.unsaved.sum() == 1
    await driven.wait_ms(1_000)
    assert await told() == (15, driven.feed.marker_seen_at)


async def test_at_the_end_all_is_written_at_once(
    driven: Driven, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "AT_ONCE", 2)
    for number in range(9):
        driven.send(f"p{number}", telemetry(0, [1.0]))
    await driven.turn()
    driven.feed.marker_seen_at = instant(driven.now_ms)
    await driven.ingester.last_heard.save()
    assert await connection.fetchval("SELECT count(*) FROM pump_latest") == 9
    assert await connection.fetchval("SELECT marker_at FROM shard") == driven.feed.marker_seen_at
