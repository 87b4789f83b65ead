"""What does one batch write? Readings, events, offsets, gaps, quarantine, alerts and their notifications: one
transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from service.core.change import Change, Turn
from service.core.clocks import MOST_OFFSETS
from service.core.fleet import Fleet
from service.core.lifecycle import AlertWritten
from service.core.pipeline import Decisions
from service.core.rejection import Rejection
from service.core.sequence import MOST_SPANS, Gap
from service.ports import RawMessage
from service.postgres import checkpoint
from service.postgres.alerts import AlertStore
from service.postgres.books import count_duplicates
from service.postgres.putting import put, put_what_is_new
from service.postgres.quarantine import keep
from service.postgres.readings import instant

# How far each pump's clock is off, from the reading on that showed it.
_INSERT_OFFSETS: Final = """
    INSERT INTO clock_offset (pump, from_position, offset_ms)
    SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) ON CONFLICT DO NOTHING
"""
# All but the newest of each: a clock that is set again and again takes no more than its share.
_FORGET_OFFSETS: Final = """
    DELETE FROM clock_offset AS old
    WHERE old.pump = ANY ($1::integer[]) AND old.from_position < (
        SELECT from_position FROM clock_offset WHERE pump = old.pump ORDER BY from_position DESC OFFSET $2 - 1 LIMIT 1
    )
"""
# That nothing more of an earlier boot will come only the pump has said: a restart could not tell it from a hole.
_DONE_WITH_BOOT: Final = """
    UPDATE rule_checkpoint AS c SET through = given.through
    FROM unnest($1::integer[], $2::bigint[]) AS given (pump, through)
    WHERE c.pump = given.pump AND c.taken_on IS NULL AND c.through < given.through
"""
# What was missing and is missing no longer.
_CLOSE_GAPS: Final = """
    UPDATE gap SET closed_at = $3
    WHERE pump = $1 AND closed_at IS NULL AND from_position >= $4 AND NOT from_position = ANY ($2::bigint[])
"""
# Every span that a pump lacks now; one that has shrunk from its end keeps its row.
_UPSERT_GAPS: Final = """
    INSERT INTO gap (pump, from_position, to_position, lost, noticed_at)
    SELECT $1, given.*, $5 FROM unnest($2::bigint[], $3::bigint[], $4::boolean[]) AS given
    ON CONFLICT (pump, from_position)
    DO UPDATE SET to_position = excluded.to_position, lost = excluded.lost, closed_at = NULL
"""
# The lowest position that came late stays the one to rebuild from.
_ASK_REBUILD: Final = """
    INSERT INTO rebuild (pump, from_position) SELECT * FROM unnest($1::integer[], $2::bigint[])
    ON CONFLICT (pump) DO UPDATE SET from_position = least(rebuild.from_position, excluded.from_position)
"""
# What each condition says now, and since when in pump time.
_UPSERT_VERDICTS: Final = """
    INSERT INTO verdict (pump, condition, verdict, since)
    SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[])
    ON CONFLICT (pump, condition) DO UPDATE SET verdict = excluded.verdict, since = excluded.since
"""


class Put(NamedTuple):
    """How much of a batch was stored already, and what became of alerts."""

    known: int = 0
    written: Sequence[AlertWritten] = ()


async def write_batch(
    connection: asyncpg.Connection,
    fleet: Fleet,
    decisions: Decisions,
    bodies: Sequence[bytes],
    rejected: Sequence[tuple[RawMessage, Rejection]],
    alerts: AlertStore,
    now: datetime,
    *,
    reconnected_at: datetime | None = None,
    compared: bool = False,
) -> Put:
    """Write all of it; the caller holds the transaction. `bodies` are those of the new events, in their order.

    `compared`: something of it is stored already. See putting.py for what it raises.
    """
    known = 0
    if compared:
        known = await put_what_is_new(connection, decisions.stored, bodies, now)
    else:
        await put(connection, decisions.stored, bodies, now)
    if decisions.offsets:
        await connection.execute(
            _INSERT_OFFSETS,
            [int(fleet.keys[offset.row]) for offset in decisions.offsets],
            [offset.from_position for offset in decisions.offsets],
            [offset.offset_ms for offset in decisions.offsets],
        )
        of_whom = list({int(fleet.keys[offset.row]) for offset in decisions.offsets})
        await connection.execute(_FORGET_OFFSETS, of_whom, MOST_OFFSETS)
    for row, missing in decisions.gaps.items():
        await write_gaps(connection, int(fleet.keys[row]), missing, now)
    if decisions.admission.rebuild:
        rebuild = decisions.admission.rebuild
        await connection.execute(_ASK_REBUILD, [int(fleet.keys[row]) for row in rebuild], list(rebuild.values()))
    if decisions.admission.first_heard:
        # Without it a restart could not tell a hole before the first stored position from a beginning.
        first = decisions.admission.first_heard
        begun = [
            checkpoint.beginning(int(fleet.keys[row]))._replace(position=at, through=at) for row, at in first.items()
        ]
        await checkpoint.save(connection, begun, now)
    await count_duplicates(connection, decisions, now)
    if decisions.admission.new_boots:
        done = decisions.admission.new_boots
        await connection.execute(_DONE_WITH_BOOT, [int(fleet.keys[row]) for row in done], list(done.values()))
    if rejected:
        await keep(connection, rejected, reconnected_at=reconnected_at)
    written = await write_changes(connection, decisions.folded.changes, alerts, now)
    if decisions.caught_up:
        await alerts.release(connection, [int(fleet.keys[row]) for row in decisions.caught_up], now)
    return Put(known, written)


async def write_changes(
    connection: asyncpg.Connection, changes: Sequence[Change], alerts: AlertStore, now: datetime
) -> list[AlertWritten]:
    if not changes:
        return []
    written = await alerts.apply(connection, changes, now)
    await write_verdicts(connection, changes)
    return written


async def write_verdicts(connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
    last = {(change.pump, change.condition): change for change in changes}.values()
    await connection.execute(
        _UPSERT_VERDICTS,
        [change.pump for change in last],
        [change.condition for change in last],
        ["does_not_hold" if change.turn is Turn.ENDED else "holds" for change in last],
        [instant(change.at_ms) for change in last],
    )


async def write_gaps(connection: asyncpg.Connection, key: int, missing: Sequence[Gap], now: datetime) -> None:
    """Make the ledger's table say what this pump lacks now."""
    # Where not all are remembered, the older ones stay as they are.
    since = min(gap.from_position for gap in missing) if len(missing) >= MOST_SPANS else 0
    await connection.execute(_CLOSE_GAPS, key, [gap.from_position for gap in missing], now, since)
    if missing:
        await connection.execute(
            _UPSERT_GAPS,
            key,
            [gap.from_position for gap in missing],
            [gap.to_position for gap in missing],
            [gap.lost for gap in missing],
            now,
        )
