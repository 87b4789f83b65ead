"""What would conditions in shadow have raised? Rows that nobody is told of, for whoever judges a rule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from service.core.change import Change, Standing, Turn
from service.core.subject import NO_PUMP
from service.postgres.readings import instant

_BEGIN: Final = """
    INSERT INTO shadow_alert (pump, condition, detected_position, priority, began_at, detected_at, recorded_at,
                              rulebook_version, evidence)
    SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                         $7::timestamptz[], $8::text[], $9::jsonb[])
    ON CONFLICT DO NOTHING
"""
_RISE: Final = """
    UPDATE shadow_alert AS s SET priority = $4
    WHERE s.pump = $1 AND s.condition = $2 AND s.ended_at IS NULL AND s.detected_position <= $3
"""
_END: Final = """
    UPDATE shadow_alert AS s SET ended_at = over.at, ended_position = over.position
    FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::timestamptz[]) AS over (pump, condition, position, at)
    WHERE s.pump = over.pump AND s.condition = over.condition AND s.ended_at IS NULL
        AND s.detected_position <= over.position
"""
_FORGET: Final = "DELETE FROM shadow_alert WHERE pump = $1 AND detected_position > $2"
_REOPEN: Final = """
    UPDATE shadow_alert SET ended_at = NULL, ended_position = NULL WHERE pump = $1 AND ended_position > $2
"""
_NEWEST: Final = """
    SELECT pump_id, condition, priority, began_at, detected_at, ended_at, recorded_at, rulebook_version, evidence
    FROM shadow_alert JOIN pump USING (pump)
    WHERE ($1::text IS NULL OR condition = $1) AND ($2::text IS NULL OR pump_id = $2)
        AND ($4::text[] IS NULL OR site = ANY ($4))
    ORDER BY recorded_at DESC, pump_id, condition LIMIT $3
"""


async def record(connection: asyncpg.Connection, turns: Sequence[Change], now: datetime) -> None:
    """Write what the turns mean for what is in shadow; what was written before changes nothing."""
    turns = [turn for turn in turns if turn.pump != NO_PUMP]
    for group in _runs(turns):
        if group[0].turn is Turn.BEGAN:
            await _begin(connection, group, now)
        elif group[0].turn is Turn.ENDED:
            await connection.execute(
                _END,
                [turn.pump for turn in group],
                [turn.condition for turn in group],
                [turn.position for turn in group],
                [instant(turn.at_ms) for turn in group],
            )
        else:
            rows = [(turn.pump, turn.condition, turn.position, turn.ruled.priority) for turn in group if turn.ruled]
            await connection.executemany(_RISE, rows)


async def rewrite(
    connection: asyncpg.Connection, pump: int, since_position: int, turns: Sequence[Change], now: datetime
) -> None:
    """The pump was rebuilt from a position on: make what is in shadow what `turns` after it say."""
    await connection.execute(_FORGET, pump, since_position)
    await connection.execute(_REOPEN, pump, since_position)
    await record(connection, turns, now)


async def newest(
    connection: asyncpg.Connection,
    condition: str | None,
    pump_id: str | None,
    limit: int,
    seen: list[str] | None = None,
) -> list[dict[str, Any]]:
    """`seen`: of these sites alone."""
    rows = await connection.fetch(_NEWEST, condition, pump_id, limit, seen)
    return [{**row, "evidence": msgspec.json.decode(row["evidence"])} for row in rows]


async def _begin(connection: asyncpg.Connection, turns: Sequence[Change], now: datetime) -> None:
    ruled = [turn.ruled for turn in turns if turn.ruled is not None and turn.ruled.standing is Standing.SHADOW]
    await connection.execute(
        _BEGIN,
        [turn.pump for turn in turns],
        [turn.condition for turn in turns],
        [turn.position for turn in turns],
        [each.priority for each in ruled],
        [instant(turn.began_ms) for turn in turns],
        [instant(turn.at_ms) for turn in turns],
        [now] * len(turns),
        [each.rulebook_version for each in ruled],
        [msgspec.json.encode(turn.evidence | {"step": turn.step}).decode() for turn in turns],
    )


def _runs(turns: Sequence[Change]) -> list[list[Change]]:
    """In their order, as runs of one kind."""
    runs: list[list[Change]] = []
    for turn in turns:
        if runs and runs[-1][0].turn is turn.turn:
            runs[-1].append(turn)
        else:
            runs.append([turn])
    return runs
