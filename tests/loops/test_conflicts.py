"""Two readings under one number: what came first stands, and the other is kept aside, counted and told."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.core.reading import Items
from service.core.relearn import HORIZON
from service.core.rulebook import DEFAULT_RULEBOOK
from service.loops import conflicts
from service.postgres.alerts import AlertStore
from service.postgres.standing import look_once
from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS

HORIZON_MS = int(HORIZON.total_seconds() * 1000)


async def said(driven: Driven, *messages: dict[str, object], pump_id: str = "p1") -> None:
    for message in messages:
        driven.send(pump_id, message)
    await driven.turn()


async def aside(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in await connection.fetch("SELECT reason, detail FROM quarantine ORDER BY id")]


async def test_the_same_again_is_a_duplicate_and_other_values_in_its_place_are_kept_aside(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await said(driven, telemetry(0, [1.0] * 10))
    await said(driven, telemetry(0, [1.0] * 10))
    assert await aside(connection) == []
    await said(driven, telemetry(3, [1.0, 0.5, 0.2, 1.0]))
    how = "boot 1, seq 4: flow_ml_d is 0.25, stored is 0.5; and 1 more of this message"
    assert await aside(connection) == [("conflicts_with_stored", how)]
    flows = await connection.fetch("SELECT DISTINCT flow_ml_d FROM reading")
    assert [row["flow_ml_d"] for row in flows] == [0.5], "what came first stands"
    assert driven.feed.settled == [1, 2, 3]
    assert driven.metrics.quarantined.labels("conflicts_with_stored")._value.get() == 1


async def test_of_two_that_come_at_once_the_first_is_stored_and_the_other_kept_aside(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await said(driven, telemetry(0, [1.0]), telemetry(0, [0.0]), telemetry(0, [1.0]))
    assert await aside(connection) == [("conflicts_with_stored", "boot 1, seq 0: flow_ml_d is 0, stored is 0.5")]


async def test_the_same_values_at_another_time_are_another_reading(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await said(driven, telemetry(0, [1.0] * 10))
    later = telemetry(5, [1.0])
    later["time_ms"] = [at_ms + 30 * MINUTE_MS for at_ms in later["time_ms"]]
    await said(driven, later)
    apart = "boot 1, seq 5: its time is 1800000 ms after the stored one's"
    assert await aside(connection) == [("conflicts_with_stored", apart)]


async def test_what_came_at_another_time_is_looked_for_in_pieces_that_stay_small(
    driven: Driven, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the second is looked at again after each of them."""
    monkeypatch.setattr(conflicts, "LONGEST_S", 60.0)  # however busy this machine is
    monkeypatch.setattr(conflicts, "MOVED", conflicts.MOVED._replace(first=2, most=5))
    await said(driven, telemetry(0, [1.0] * 220))
    asked: list[int] = []
    stored_as = driven.store.stored_as

    async def counted(items: Items, apart: timedelta) -> Items:
        if apart:
            asked.append(len(items))
        return await stored_as(items, apart)

    monkeypatch.setattr(driven.store, "stored_as", counted)
    for seq in range(0, 220, 11):  # so far apart that each is a run of its own
        later = telemetry(seq, [1.0])
        later["time_ms"] = [at_ms + 30_000 for at_ms in later["time_ms"]]
        driven.send("p1", later)
    await driven.turn()
    assert max(asked) <= conflicts.MOVED.most
    assert sum(asked) == 20
    assert len(await aside(connection)) == 20


async def test_a_reading_in_the_place_of_an_event_is_kept_aside(driven: Driven, connection: asyncpg.Connection) -> None:
    await said(driven, telemetry(0, [1.0]))
    refill = {"boot": 1, "seq": 1, "time_ms": driven.now_ms, "type": "mri_began", "held_from": [1, 0]}
    driven.send("p1", refill, "event")
    await driven.turn()
    await said(driven, telemetry(1, [1.0]))
    ((reason, detail),) = await aside(connection)
    assert reason == "conflicts_with_stored"
    assert "its kind" in detail


async def test_two_that_send_as_one_pump_from_two_connections_are_told_of(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    """Each counts on from its own, in turns; what came first of each number is what is stored."""
    for seq in range(30):
        driven.send("p1", telemetry(seq, [1.0]))
        driven.send("p1", telemetry(seq, [0.9]))
        if seq % 3 == 0:
            await driven.turn()
    await driven.turn()
    assert await connection.fetchval("SELECT count(*) FROM reading") == 30
    assert {reason for reason, _ in await aside(connection)} == {"conflicts_with_stored"}
    assert len(await aside(connection)) == 30
    now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
    written = await look_once(connection, AlertStore(DEFAULT_RULEBOOK), DEFAULT_RULEBOOK, now)
    assert ("conflicting_readings", "low") in {(each.condition, each.priority) for each in written}


async def test_a_pump_that_begins_to_count_anew_in_the_same_boot_is_told_of_and_not_heard(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await said(driven, telemetry(0, [1.0] * 50))
    await driven.wait_ms(60_000)
    heard_at = await connection.fetchval("SELECT received_at FROM pump_latest")
    afresh = telemetry(0, [1.0] * 5)
    afresh["time_ms"] = [at_ms + 60 * MINUTE_MS for at_ms in afresh["time_ms"]]
    await said(driven, afresh)
    await driven.wait_ms(1_000)
    assert [reason for reason, _ in await aside(connection)] == ["conflicts_with_stored"]
    assert await connection.fetchval("SELECT received_at FROM pump_latest") == heard_at


async def test_the_clock_of_a_pump_that_was_off_makes_no_conflict(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    since_1970 = telemetry(0, [1.0] * 20)
    since_1970["time_ms"] = [number * MINUTE_MS for number in range(20)]
    await said(driven, since_1970)
    driven.now_ms += 10 * MINUTE_MS
    await said(driven, since_1970)
    await driven.restart()
    await said(driven, since_1970)
    assert await aside(connection) == []


async def test_all_of_a_storm_of_duplicates_is_compared(
    driven: Driven, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conflicts, "LONGEST_S", 60.0)  # however busy this machine is
    driven.now_ms += 13 * 86_400_000
    spans = range(0, 16_000, 4_000)
    for first in spans:
        driven.send("p1", telemetry(first, [1.0] * 4_000))
    await driven.turn()
    for first in spans:
        driven.send("p1", telemetry(first, [1.0] * 3_999 + [0.5]))
    await driven.turn()
    how = [f"boot 1, seq {first + 3_999}: flow_ml_d is 0.25, stored is 0.5" for first in spans]
    assert await aside(connection) == [("conflicts_with_stored", each) for each in how]
    assert not_compared(driven) == {}


async def test_what_is_older_than_the_lateness_horizon_is_compared_wherever_it_lies(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await said(driven, telemetry(0, [1.0] * 10))
    driven.now_ms += HORIZON_MS
    if await connection.fetchval("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')"):
        await connection.fetch("SELECT compress_chunk(chunk) FROM show_chunks('stored_reading') AS chunk")
    await said(driven, telemetry(10, [1.0] * 10))
    assert await connection.fetchval("SELECT count(*) FROM late_reading") == 10
    await said(driven, telemetry(0, [1.0] * 3 + [0.5] + [1.0] * 14 + [0.5, 0.5]))
    how = "boot 1, seq 3: flow_ml_d is 0.25, stored is 0.5; and 2 more of this message"
    assert await aside(connection) == [("conflicts_with_stored", how)]


async def test_what_nothing_is_stored_for_any_more_is_counted_as_not_compared(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await said(driven, telemetry(0, [1.0] * 10))
    await connection.execute("DELETE FROM stored_reading WHERE position % 2 = 0")  # as retention does
    await said(driven, telemetry(0, [1.0] * 10))
    assert await aside(connection) == []
    assert not_compared(driven) == {"not_found": 5}


async def test_what_there_is_no_time_to_compare_is_counted(
    driven: Driven, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await said(driven, telemetry(0, [1.0] * 10))
    monkeypatch.setattr(conflicts, "LONGEST_S", -1.0)
    await said(driven, telemetry(0, [0.5] * 10))
    assert await aside(connection) == []
    assert driven.feed.settled == [1, 2], "it makes nobody wait"
    assert not_compared(driven) == {"out_of_time": 10}


def not_compared(driven: Driven) -> dict[str, float]:
    (counted,) = driven.metrics.not_compared.collect()
    return {each.labels["reason"]: each.value for each in counted.samples if each.name.endswith("_total")}
