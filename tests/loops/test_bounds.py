"""What is kept of a pump is bounded: by what the lateness horizon can still need."""

from datetime import UTC, datetime

import asyncpg
import numpy as np

from service.core.clocks import MOST_OFFSETS
from service.core.relearn import HORIZON
from service.core.rulebook import Rulebook, parse_rulebook
from service.loops.in_force import put_in_force
from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS, NOON_MS

A_DAY_MS = 1440 * MINUTE_MS


async def test_of_checkpoints_the_latest_and_one_a_day_of_the_horizon_are_kept(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    for day in range(12):
        driven.now_ms = NOON_MS + day * A_DAY_MS
        message = telemetry(day, [1.0])
        message["time_ms"] = [driven.now_ms]
        driven.send("p", message)
        await driven.turn()
        await driven.wait_ms(61_000)
    kept = await connection.fetchval("SELECT array_agg(taken_on ORDER BY taken_on NULLS LAST) FROM rule_checkpoint")
    assert len(kept) == HORIZON.days + 2
    assert kept[-1] is None
    assert kept[-2] == datetime.fromtimestamp(driven.now_ms / 1000, UTC).date()


async def test_limits_that_nothing_is_folded_under_again_are_forgotten(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    versions = [parse_rulebook(f"[stall]\nmissed_ul = {missed_ul}\n") for missed_ul in (3, 4, 5, 6)]
    for day, rulebook in enumerate(versions):
        driven.now_ms = NOON_MS + 10 * day * A_DAY_MS
        message = telemetry(day, [1.0])
        message["time_ms"] = [driven.now_ms]
        driven.send("p", message)
        await driven.turn()
        assert isinstance(rulebook, Rulebook)
        driven.fleet.use(rulebook)
        now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
        await put_in_force(driven.store, driven.fleet, await driven.store.pumps(), now)
    rows = await connection.fetch("SELECT after_position & 255 AS seq FROM limits_in_force ORDER BY after_position")
    assert [row["seq"] for row in rows] == [1, 2, 3], "that of the twentieth day before still held within the horizon"
    state = driven.fleet.state.copy()
    await driven.restart()
    assert np.array_equal(driven.fleet.state, state)


async def test_a_clock_that_is_set_again_and_again_takes_no_more_than_its_share(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    set_at = driven.now_ms
    for seq in range(MOST_OFFSETS + 10):
        clock = {"boot": 1, "seq": seq, "time_ms": set_at * 2 + seq * A_DAY_MS, "type": "clock_set", "before_ms": 0}
        driven.send("p", clock | {"held_from": [1, 0]}, "event")
        await driven.turn()
    assert await connection.fetchval("SELECT count(*) FROM clock_offset") == MOST_OFFSETS
    assert len(driven.fleet.offsets[0]) == MOST_OFFSETS
    before = driven.fleet.offset_ms.copy(), list(driven.fleet.offsets[0])
    await driven.restart()
    assert (driven.fleet.offset_ms == before[0]).all()
    assert driven.fleet.offsets[0] == before[1]


async def test_what_comes_after_a_restart_is_dated_as_it_would_be_without_one(driven: Driven) -> None:
    driven.send("p", telemetry(200, [1.0], held_from=(1, 200)))
    await driven.turn()
    back = {"boot": 1, "seq": 201, "time_ms": NOON_MS, "type": "clock_set", "before_ms": NOON_MS + 200 * MINUTE_MS}
    driven.send("p", back | {"held_from": [1, 200]}, "event")
    message = telemetry(202, [1.0], held_from=(1, 200))
    message["time_ms"] = [NOON_MS + MINUTE_MS]
    driven.send("p", message)
    await driven.turn()
    newest_ms = driven.fleet.newest_ms[0]
    assert newest_ms == NOON_MS + 200 * MINUTE_MS
    await driven.wait_ms(61_000)
    await driven.restart()
    assert driven.fleet.newest_ms[0] == newest_ms
