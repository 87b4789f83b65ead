"""Checkpoints: each pump's once a minute, and never so many at once that batches wait for them."""

import asyncpg
import numpy as np

from service.loops import checkpoints
from tests.loops.driven import Driven, telemetry


async def test_a_new_pump_has_one_at_once_and_then_one_a_minute(driven: Driven) -> None:
    driven.send("p1", telemetry(0, [1.0]))
    await driven.turn()
    await driven.wait_ms(1_000)
    assert driven.fleet.checkpointed.tolist() == driven.fleet.ledger.evaluated.tolist()
    written_ms = driven.fleet.checkpointed_ms[0]
    driven.send("p1", telemetry(1, [1.0]))
    await driven.turn()
    await driven.wait_ms(30_000)
    assert driven.fleet.checkpointed_ms[0] == written_ms
    await driven.wait_ms(30_000)
    assert driven.fleet.checkpointed.tolist() == driven.fleet.ledger.evaluated.tolist()


async def test_a_fleet_that_is_new_as_a_whole_has_them_little_by_little(driven: Driven) -> None:
    pumps = checkpoints.CHECKPOINTS_AT_ONCE + 500
    for number in range(pumps):
        driven.send(f"p{number}", telemetry(0, [1.0]))
    await driven.turn()
    await driven.wait_ms(1_000)
    first = behind(driven)
    assert 0 < first <= 500
    await driven.wait_ms(1_000)
    assert first - behind(driven) == checkpoints.LEAST_A_MINUTE // 60
    await driven.wait_ms(60_000)
    assert behind(driven) == 0


async def test_beside_the_latest_the_first_of_each_day_is_kept(driven: Driven, connection: asyncpg.Connection) -> None:
    for seq, wait_ms in enumerate((60_000, 60_000, checkpoints.DAY_MS, 60_000)):
        driven.send("p1", telemetry(seq, [1.0]))
        await driven.turn()
        await driven.wait_ms(wait_ms)
        await driven.wait_ms(1_000)
    kept = await connection.fetch("SELECT taken_on, position & 255 AS seq FROM rule_checkpoint ORDER BY taken_on")
    assert len({row["taken_on"] for row in kept}) == len(kept) == 3
    assert [row["seq"] for row in kept][1:] == [2, 3], "that of the next day, and the latest"


def behind(driven: Driven) -> int:
    return int(np.count_nonzero(driven.fleet.checkpointed != driven.fleet.ledger.evaluated))
