"""A change of the registry is found once, also where its transaction ends late; many are judged in slices."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from service.core.fleet import PumpEntry
from service.loops.in_force import PUMPS_AT_ONCE
from tests.loops.driven import Driven, telemetry

DATED_NOW = "UPDATE pump SET updated_at = now(), flow_channel = $2 WHERE pump_id = $1"


@pytest.fixture
async def driven(postgres_url: str, connection: asyncpg.Connection) -> AsyncIterator[Driven]:
    driven = Driven(postgres_url)
    driven.now_ms = await connection.fetchval("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    await driven.start()
    yield driven
    await driven.store.close()


@pytest.fixture
def read(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """The keys of the entries that are read, a list each time."""
    real, asked = driven.store.pumps, []

    async def pumps(keys: Sequence[int] | None = None) -> list[PumpEntry]:
        assert keys is not None
        asked.append(list(keys))
        return await real(keys)

    monkeypatch.setattr(driven.store, "pumps", pumps)
    return asked


async def test_a_change_is_read_once_although_we_look_back_again_and_again(
    driven: Driven, connection: asyncpg.Connection, read: list[Sequence[int]]
) -> None:
    driven.send("p", telemetry(0, [1.0]))
    driven.send("other", telemetry(0, [1.0]))
    await driven.turn()
    for _ in range(3):
        await driven.look_for_changes()
    assert sum(map(len, read)) == 2, "they enrolled themselves"
    key = await connection.fetchval("SELECT pump FROM pump WHERE pump_id = 'p'")
    for times, channel in enumerate(("sensor", "rotor"), start=1):
        await connection.execute(DATED_NOW, "p", channel)
        for _ in range(3):
            await driven.look_for_changes()
        assert read[1:] == [[key]] * times
        assert driven.fleet.limits["flow_sensor"][driven.fleet.row_of[b"p"]] == (channel == "sensor")


async def test_what_a_transaction_that_ends_late_has_changed_is_found_beside_what_was_changed_meanwhile(
    driven: Driven, connection: asyncpg.Connection, postgres_url: str
) -> None:
    for pump_id in ("slow", "quick"):
        driven.send(pump_id, telemetry(0, [1.0]))
    await driven.turn()
    other = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute(DATED_NOW, "slow", "sensor")
        await connection.execute(DATED_NOW, "quick", "sensor")
        for _ in range(15):  # a minute and a half
            await driven.look_for_changes()
        assert sorted(driven.fleet.limits["flow_sensor"]) == [0, 1]
    await other.close()
    await driven.look_for_changes()
    assert driven.fleet.limits["flow_sensor"].tolist() == [1, 1]


async def test_a_large_import_is_taken_in_slices_between_which_readings_are_stored(
    driven: Driven, connection: asyncpg.Connection, read: list[Sequence[int]]
) -> None:
    await connection.execute(
        "INSERT INTO pump (pump_id, simulated, shard) SELECT 'p' || n, true, 0 FROM generate_series(1, $1::integer) n",
        2 * PUMPS_AT_ONCE + 1,
    )
    stored = []
    for seq in range(3):
        driven.send("p1", telemetry(seq, [1.0]))
        await driven.wait_ms(2_000)
        stored.append(await connection.fetchval("SELECT count(*) FROM reading"))
    assert stored == [1, 2, 3]
    assert [len(keys) for keys in read] == [PUMPS_AT_ONCE, PUMPS_AT_ONCE, 1]
    assert await connection.fetchval("SELECT count(*) FROM limits_in_force") == 2 * PUMPS_AT_ONCE + 1
