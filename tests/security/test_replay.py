"""Somebody who has a pump's certificate, or its recordings, replays and forges: what changes, what is counted, what is
told.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from service.core.rulebook import DEFAULT_RULEBOOK
from service.core.sequence import PATIENCE_MS
from service.postgres.alerts import AlertStore
from service.postgres.standing import look_once
from tests.loops.driven import Driven, telemetry
from tests.pumps import MINUTE_MS

SESSION = [telemetry(first, [1.0] * 10) for first in (0, 10, 20)]
NEXT_BOOT = telemetry(0, [1.0] * 10, boot=2, held_from=(2, 0))


@pytest.fixture
async def driven(postgres_url: str) -> AsyncIterator[Driven]:
    driven = Driven(postgres_url)
    await driven.start()
    yield driven
    await driven.store.close()


async def told(driven: Driven, *messages: dict[str, object]) -> None:
    for message in messages:
        driven.send("p1", message)
        await driven.turn()
    await driven.wait_ms(1_000)


async def readings(connection: asyncpg.Connection) -> list[tuple[object, ...]]:
    rows = await connection.fetch("SELECT position, measured_at, flow_ml_d FROM reading ORDER BY position")
    return [tuple(row) for row in rows]


async def conditions(connection: asyncpg.Connection) -> set[str]:
    return {row["condition"] for row in await connection.fetch("SELECT condition FROM alert WHERE state <> 'resolved'")}


async def looked(driven: Driven, connection: asyncpg.Connection) -> set[str]:
    """What is open once `watch` has looked at the books."""
    now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
    await look_once(connection, AlertStore(DEFAULT_RULEBOOK), DEFAULT_RULEBOOK, now)
    return await conditions(connection) - {"unregistered"}


def duplicates(driven: Driven) -> float:
    return float(driven.metrics.duplicates._value.get())


async def test_a_recorded_session_that_is_replayed_is_counted_and_changes_nothing(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION)
    before, state = await readings(connection), driven.fleet.state[0].copy()
    await told(driven, *SESSION, SESSION[1], SESSION[0])
    assert await readings(connection) == before
    assert duplicates(driven) == 50
    assert (driven.fleet.state[0] == state).all()
    assert await looked(driven, connection) == set()


async def test_a_session_from_before_a_restart_is_known_again_though_the_service_was_restarted_since(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION, NEXT_BOOT)
    before = await readings(connection)
    await driven.restart()
    await told(driven, *SESSION)
    assert await readings(connection) == before
    assert duplicates(driven) == 30
    assert await looked(driven, connection) == set()


async def test_a_recording_replayed_with_other_values_is_kept_aside_and_told(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION)
    before = await readings(connection)
    await told(driven, telemetry(10, [0.0] * 10))
    assert await readings(connection) == before
    assert await connection.fetchval("SELECT reason FROM quarantine") == "conflicts_with_stored"
    assert await looked(driven, connection) == {"conflicting_readings"}


async def test_a_forger_who_is_quicker_than_the_pump_is_told_of_when_the_pump_speaks(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION)
    await told(driven, telemetry(30, [0.0] * 5))  # forged: the pump has yet to say its 30 to 34
    await told(driven, telemetry(30, [1.0] * 5))
    assert await connection.fetchval("SELECT reason FROM quarantine") == "conflicts_with_stored"
    assert "conflicting_readings" in await looked(driven, connection)


async def test_a_sequence_that_leaps_ahead_is_a_gap_and_the_pumps_own_readings_are_still_stored(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION)
    await told(driven, telemetry(100, [1.0] * 5))
    await driven.wait_ms(PATIENCE_MS + 1_000)
    assert await connection.fetchval("SELECT count(*) FROM gap") == 1
    assert "sequence_gap" in await looked(driven, connection)
    await told(driven, telemetry(30, [1.0] * 10))
    assert len(await readings(connection)) == 45


async def test_a_boot_that_cannot_be_is_kept_aside_and_told(driven: Driven, connection: asyncpg.Connection) -> None:
    await told(driven, *SESSION)
    await told(driven, telemetry(0, [1.0], boot=500_000, held_from=(500_000, 0)))
    assert await connection.fetchval("SELECT reason FROM quarantine") == "implausible_boot"
    assert await looked(driven, connection) == {"implausible_boot"}
    await told(driven, telemetry(30, [1.0]))
    assert len(await readings(connection)) == 31


async def test_a_pump_that_restarts_and_sends_the_end_of_its_last_session_late_is_no_forger(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION[:2])
    restarted = telemetry(0, [1.0] * 10, boot=2, held_from=(1, 20))
    restarted["time_ms"] = [at_ms + 30 * MINUTE_MS for at_ms in restarted["time_ms"]]  # type: ignore[attr-defined]
    await told(driven, restarted, SESSION[2])
    assert len(await readings(connection)) == 40
    assert await looked(driven, connection) == set()


async def test_a_boot_that_was_made_up_does_not_stop_the_pumps_own_readings(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await told(driven, *SESSION)
    await told(driven, telemetry(0, [1.0], boot=6, held_from=(6, 0)))
    await told(driven, telemetry(30, [1.0] * 10), telemetry(40, [1.0] * 10))
    assert len(await readings(connection)) == 51
    assert await looked(driven, connection) == {"conflicting_readings"}
    said = await connection.fetchrow("SELECT reason, detail FROM quarantine ORDER BY id")
    assert tuple(said) == ("conflicts_with_stored", "boot 1 goes on at seq 30 although boot 6 had begun")
