"""Where were the rules, and from what do they go on? Checkpoints of pump states; what is stored after them is folded
again.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import asyncpg
import numpy as np

from service.core.change import Condition
from service.core.relearn import HORIZON, Seed, seeded
from service.core.state import DECIDED, FIELDS, LAYOUT, READABLE, packed, unpacked
from service.ports import Checkpoint
from service.postgres.readings import BEGINNING, instant

_GIVEN: Final = """
    unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::timestamptz[])
        AS given (pump, position, through, measured_at, state, newest_at)
"""
# The latest of each pump.
_SAVE: Final = f"""
    INSERT INTO rule_checkpoint (pump, taken_on, position, through, measured_at, layout, state, newest_at)
    SELECT pump, NULL, position, through, measured_at, $7, state, newest_at FROM {_GIVEN}
    ON CONFLICT (pump, taken_on) DO UPDATE SET position = excluded.position, through = excluded.through,
        measured_at = excluded.measured_at, layout = excluded.layout, state = excluded.state,
        newest_at = excluded.newest_at
"""
# The first of each day; what the lateness horizon needs no more goes with it.
_SAVE_OF_DAY: Final = f"""
    WITH daily AS (
        INSERT INTO rule_checkpoint (pump, taken_on, position, through, measured_at, layout, state, newest_at)
        SELECT pump, $8::date, position, through, measured_at, $7, state, newest_at FROM {_GIVEN}
        ON CONFLICT (pump, taken_on) DO NOTHING RETURNING pump
    )
    DELETE FROM rule_checkpoint AS old USING daily WHERE old.pump = daily.pump AND old.taken_on < $9::date
"""


async def save(connection: asyncpg.Connection, checkpoints: Sequence[Checkpoint], now: datetime) -> None:
    await _save(connection, _SAVE, checkpoints)
    of_day = [checkpoint for checkpoint in checkpoints if checkpoint.may_be_first_of_day]
    await _save(connection, _SAVE_OF_DAY, of_day, now.date(), (now - HORIZON).date())


async def _save(connection: asyncpg.Connection, statement: str, checkpoints: Sequence[Checkpoint], *days: date) -> None:
    if not checkpoints:
        return
    await connection.execute(
        statement,
        [checkpoint.key for checkpoint in checkpoints],
        [checkpoint.position for checkpoint in checkpoints],
        [checkpoint.through for checkpoint in checkpoints],
        [checkpoint.since for checkpoint in checkpoints],
        packed(np.array([checkpoint.state for checkpoint in checkpoints])),
        [instant(checkpoint.newest_ms) if checkpoint.newest_ms else None for checkpoint in checkpoints],
        LAYOUT,
        *days,
    )


# The newest checkpoint of each pump of a shard.
_LATEST: Final = """
    SELECT c.pump, c.position, c.through, c.measured_at, c.layout, c.state, c.newest_at
    FROM rule_checkpoint c JOIN pump USING (pump)
    WHERE pump.shard = ANY ($1::integer[]) AND c.taken_on IS NULL
"""
# The newest checkpoint of a pump that knows nothing of a position or of what follows it.
_BEFORE: Final = """
    SELECT pump, position, through, measured_at, layout, state, newest_at FROM rule_checkpoint
    WHERE pump = $1 AND position < $2 AND layout = ANY ($3::text[]) ORDER BY position DESC LIMIT 1
"""
# The last that a pump measured before a time.
_LAST_BEFORE: Final = """
    SELECT position, measured_at FROM reading WHERE pump = $1 AND measured_at < $2 ORDER BY measured_at DESC LIMIT 1
"""
# Conditions that began before a time and were not over then.
_SEEDS: Final = """
    SELECT pump, condition, coalesce((evidence ->> 'step')::integer, 1) AS step, began_at,
           coalesce((evidence ->> 'said_by_pump')::float8 > 0, false) AS said
    FROM alert
    WHERE pump = ANY ($1::integer[]) AND detected_at < $2 AND condition = ANY ($3::text[])
        AND (state = 'active' OR ended_at >= $2) AND NOT found_late
"""
# Checkpoints that were taken without a reading that has come late since.
_FORGET: Final = "DELETE FROM rule_checkpoint WHERE pump = $1 AND position >= $2"


async def latest(connection: asyncpg.Connection, shards: Sequence[int]) -> tuple[dict[int, Checkpoint], set[int]]:
    """What each pump's rules go on from; and the pumps whose state is of another layout, which says nothing."""
    rows = await connection.fetch(_LATEST, shards)
    unreadable = {row["pump"] for row in rows if row["layout"] not in READABLE}
    return {row["pump"]: _checkpoint(row) for row in rows}, unreadable


async def before(connection: asyncpg.Connection, key: int, position: int, horizon: datetime) -> Checkpoint:
    """Where to fold again from so that `position` is seen: the nearest that is kept, or else what was known at the
    horizon, or the beginning of everything if that is nearer. What is of before the horizon is seen no more: nothing
    would be left of the alerts between it and the horizon.
    """
    row = await connection.fetchrow(_BEFORE, key, position, READABLE)
    if row is not None:
        return _checkpoint(row)
    last = await connection.fetchrow(_LAST_BEFORE, key, horizon)
    if last is None:
        return beginning(key)
    seeds = (await seeds_of(connection, [key], horizon)).get(key, ())
    return Checkpoint(key, last["position"], last["position"], last["measured_at"], seeded(seeds))


async def seeds_of(connection: asyncpg.Connection, keys: Sequence[int], at: datetime) -> dict[int, list[Seed]]:
    """What was open of each pump at a time of its own clock."""
    seeds: dict[int, list[Seed]] = {}
    for row in await connection.fetch(_SEEDS, list(keys), at, list(DECIDED)):
        began_ms = row["began_at"].timestamp() * 1000
        seeds.setdefault(row["pump"], []).append(Seed(Condition(row["condition"]), row["step"], began_ms, row["said"]))
    return seeds


def beginning(key: int) -> Checkpoint:
    return Checkpoint(key, -1, -1, BEGINNING, np.zeros(FIELDS))


async def forget(connection: asyncpg.Connection, key: int, position: int) -> None:
    await connection.execute(_FORGET, key, position)


def _checkpoint(row: asyncpg.Record) -> Checkpoint:
    readable = row["layout"] in READABLE
    state = unpacked(row["state"], row["layout"]) if readable else np.zeros(FIELDS)
    newest_ms = 0 if row["newest_at"] is None else round(row["newest_at"].timestamp() * 1000)
    return Checkpoint(row["pump"], row["position"], row["through"], row["measured_at"], state, newest_ms)


def measured_since(measured_ms: float) -> datetime:
    """The time bound of a checkpoint; before its first reading a pump has none."""
    return instant(measured_ms) if measured_ms > 0 else BEGINNING


# What the ledger knows to be lost for good, and which offsets each pump's clock had, for the pumps of a shard.
_LOST: Final = """
    SELECT gap.pump, from_position, to_position FROM gap JOIN pump USING (pump)
    WHERE pump.shard = ANY ($1::integer[]) AND lost AND closed_at IS NULL ORDER BY 1, 2
"""
_OFFSETS: Final = """
    SELECT o.pump, o.from_position, o.offset_ms FROM clock_offset o JOIN pump USING (pump)
    WHERE pump.shard = ANY ($1::integer[]) ORDER BY o.pump, o.from_position
"""
# Pumps with a hole that patience had ended for: evaluation has gone on beyond it.
_WAITED: Final = """
    SELECT DISTINCT gap.pump FROM gap JOIN pump USING (pump)
    WHERE pump.shard = ANY ($1::integer[]) AND NOT lost AND closed_at IS NULL
"""
_REBUILDS: Final = """
    SELECT r.pump, r.from_position FROM rebuild r JOIN pump USING (pump) WHERE pump.shard = ANY ($1::integer[])
"""
_REBUILT: Final = "DELETE FROM rebuild WHERE pump = ANY ($1::integer[])"


async def lost_spans(connection: asyncpg.Connection, shards: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    spans: dict[int, list[tuple[int, int]]] = {}
    for row in await connection.fetch(_LOST, shards):
        spans.setdefault(row["pump"], []).append((row["from_position"], row["to_position"]))
    return spans


async def waited_for(connection: asyncpg.Connection, shards: Sequence[int]) -> set[int]:
    return {row["pump"] for row in await connection.fetch(_WAITED, shards)}


async def clock_offsets(connection: asyncpg.Connection, shards: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """(from position, offset) of every offset that a pump's clock ever had, in this order."""
    offsets: dict[int, list[tuple[int, int]]] = {}
    for row in await connection.fetch(_OFFSETS, shards):
        offsets.setdefault(row["pump"], []).append((row["from_position"], row["offset_ms"]))
    return offsets


async def rebuilds(connection: asyncpg.Connection, shards: Sequence[int]) -> dict[int, int]:
    """Pumps whose verdicts must be worked out again, and from which position."""
    return {row["pump"]: row["from_position"] for row in await connection.fetch(_REBUILDS, shards)}


async def rebuilt(connection: asyncpg.Connection, keys: Sequence[int]) -> None:
    await connection.execute(_REBUILT, list(keys))
