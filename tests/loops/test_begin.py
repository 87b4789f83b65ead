"""An ingester begins where the last one ended, also in a database that knew nothing of limits in force."""

from datetime import UTC, datetime

import asyncpg

from service.core.fleet import Fleet
from service.core.reading import position_of
from service.core.rulebook import Rulebook, parse_rulebook
from service.loops.begin import begin
from tests.loops.driven import Driven, telemetry


async def test_pumps_that_were_never_judged_are_from_their_beginning_on_as_they_would_be_now(postgres_url: str) -> None:
    driven = Driven(postgres_url)
    await driven.start()
    driven.send("p", telemetry(0, [1.0] * 60 + [0.0] * 60))
    await driven.turn()
    before = driven.fleet.state.tobytes()
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("DELETE FROM limits_in_force")
    await driven.restart()
    assert driven.fleet.state.tobytes() == before
    assert await connection.fetchval("SELECT array_agg(after_position) FROM limits_in_force") == [-1]
    await connection.close()
    await driven.store.close()


async def test_what_has_changed_meanwhile_holds_after_what_was_evaluated_and_beginning_again_changes_nothing(
    postgres_url: str,
) -> None:
    driven = Driven(postgres_url)
    await driven.start()
    driven.send("p", telemetry(0, [1.0] * 60 + [0.0] * 12))
    await driven.turn()
    before = driven.fleet.state.tobytes()
    strict = parse_rulebook("[stall]\nmissed_ul = 3\nfor_s = 300\n")
    assert isinstance(strict, Rulebook)
    for _ in range(2):
        fleet = Fleet(strict)
        now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
        await driven.store.use(strict, now)
        await begin(driven.store, fleet, now)
        assert fleet.state.tobytes() == before
        assert fleet.limits["stall_missed_ul"][0] == 3
    connection = await asyncpg.connect(postgres_url)
    rows = await connection.fetch("SELECT after_position, rulebook_version FROM limits_in_force ORDER BY 1")
    assert [row["after_position"] for row in rows] == [-1, position_of(1, 71)]
    assert rows[1]["rulebook_version"] == strict.version
    assert await connection.fetchval("SELECT count(*) FROM alert") == 0
    await connection.close()
    await driven.store.close()
