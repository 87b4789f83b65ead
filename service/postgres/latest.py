"""When was each pump last heard, and is its shard caught up? What the `watch` role and the board read.

Written over a connection of its own, beside the batches: nothing here is locked that a batch waits for any longer than
it takes to change one row.
"""

from collections.abc import Mapping
from typing import Final

import asyncpg
import numpy as np
import numpy.typing as npt

from service.core.fleet import Fleet
from service.core.rules.reservoir import times_to_empty_d
from service.core.shards import ranges_of
from service.core.state import Field
from service.ports import FencedError, ShardStatus
from service.postgres.binary import Columns, copy_columns, in_us

# Where what was heard is put before it is compared. Of one connection, and never in the log of the server.
_STAGE: Final = """
    CREATE TEMPORARY TABLE IF NOT EXISTS heard (
        pump integer, received_at timestamptz, measured_at timestamptz, position bigint, program_ml_d real,
        flow_ml_d real, reservoir_ml real, battery_v real, mode smallint,
        empty_judged boolean, empty_nominal_d real, empty_conservative_d real, empty_optimistic_d real
    ) ON COMMIT DELETE ROWS
"""
_KINDS: Final = {
    "pump": ">i4",
    "received_at": ">i8",
    "measured_at": ">i8",
    "position": ">i8",
    "program_ml_d": ">f4",
    "flow_ml_d": ">f4",
    "reservoir_ml": ">f4",
    "battery_v": ">f4",
    "mode": ">i2",
    "empty_judged": "?",
    "empty_nominal_d": ">f4",
    "empty_conservative_d": ">f4",
    "empty_optimistic_d": ">f4",
}
# Last heard and last values. An older reading never replaces a newer one, and our time of hearing never goes back.
# Nothing is written by one who has lost a shard.
_UPSERT: Final = """
    INSERT INTO pump_latest AS l
        (pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml, battery_v, mode,
         empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d)
    SELECT pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml, battery_v, mode,
        empty_judged, nullif(empty_nominal_d, 'NaN'), nullif(empty_conservative_d, 'NaN'),
        nullif(empty_optimistic_d, 'NaN')
    FROM heard
    WHERE NOT EXISTS (
        SELECT FROM unnest($1::integer[], $2::bigint[]) AS held (shard, epoch) LEFT JOIN shard AS s USING (shard, epoch)
        WHERE s.shard IS NULL)
    ORDER BY pump
    ON CONFLICT (pump) DO UPDATE SET
        received_at = greatest(l.received_at, excluded.received_at),
        measured_at = CASE WHEN l.position > excluded.position THEN l.measured_at ELSE excluded.measured_at END,
        position = CASE WHEN l.position > excluded.position THEN l.position ELSE excluded.position END,
        program_ml_d = CASE WHEN l.position > excluded.position THEN l.program_ml_d ELSE excluded.program_ml_d END,
        flow_ml_d = CASE WHEN l.position > excluded.position THEN l.flow_ml_d ELSE excluded.flow_ml_d END,
        reservoir_ml = CASE WHEN l.position > excluded.position THEN l.reservoir_ml ELSE excluded.reservoir_ml END,
        battery_v = CASE WHEN l.position > excluded.position THEN l.battery_v ELSE excluded.battery_v END,
        mode = CASE WHEN l.position > excluded.position THEN l.mode ELSE excluded.mode END,
        empty_judged = excluded.empty_judged,
        empty_nominal_d = excluded.empty_nominal_d,
        empty_conservative_d = excluded.empty_conservative_d,
        empty_optimistic_d = excluded.empty_optimistic_d
"""
# Pumps of which no reading is known.
_HEARD: Final = """
    INSERT INTO pump_latest AS l (pump, received_at)
    SELECT pump, received_at FROM heard
    WHERE NOT EXISTS (
        SELECT FROM unnest($1::integer[], $2::bigint[]) AS held (shard, epoch) LEFT JOIN shard AS s USING (shard, epoch)
        WHERE s.shard IS NULL)
    ORDER BY pump
    ON CONFLICT (pump) DO UPDATE SET received_at = greatest(l.received_at, excluded.received_at)
"""
# How shards are: the last marker that came back through the broker, since when the session stands, what is wrong.
_SHARDS: Final = """
    UPDATE shard AS s
    SET marker_at = coalesce(t.marker_at, s.marker_at), session_since = coalesce(t.session_since, s.session_since),
        reason = t.reason, session_lost_at = coalesce(t.session_lost_at, s.session_lost_at),
        trouble_since = CASE WHEN t.reason <> '' THEN coalesce(s.trouble_since, now()) END
    FROM unnest(
        $1::integer[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::timestamptz[]
    ) AS t (shard, epoch, marker_at, session_since, reason, session_lost_at)
    WHERE s.shard = t.shard AND s.epoch = t.epoch
"""


# Whether the broker has ever had this shard's session: if it has none now, what it held for us is gone.
_SESSION_RECORDED: Final = "SELECT session_since IS NOT NULL FROM shard WHERE shard = $1"


async def session_recorded(pool: asyncpg.Pool, shard: int) -> bool:
    return bool(await pool.fetchval(_SESSION_RECORDED, shard))


async def save_latest(
    connection: asyncpg.Connection, epochs: Mapping[int, int], fleet: Fleet, rows: npt.NDArray[np.intp]
) -> None:
    """Write what was last heard of the pumps in `rows`; of one that has sent events only, that it was heard."""
    said = fleet.latest["position"][rows] >= 0
    heard = _heard(fleet, rows[~said])
    columns = {**_heard(fleet, rows[said]), **_said(fleet, rows[said])}
    await connection.execute(_STAGE)
    for upsert, values in ((_UPSERT, columns), (_HEARD, heard)):
        if not len(values["pump"]):
            continue
        async with connection.transaction():
            await copy_columns(connection, "heard", {name: _KINDS[name] for name in values}, values)
            await connection.execute(upsert, list(epochs), list(epochs.values()))


def _heard(fleet: Fleet, rows: npt.NDArray[np.intp]) -> Columns:
    return {"pump": fleet.keys[rows], "received_at": in_us(fleet.heard_ms[rows])}


def _said(fleet: Fleet, rows: npt.NDArray[np.intp]) -> Columns:
    newest, state = fleet.latest[rows], fleet.state[rows].T
    nominal_d, conservative_d, optimistic_d = times_to_empty_d(state, fleet.limits.take(rows))
    values = ("position", "program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "mode")
    return {
        "measured_at": in_us(newest["measured_ms"]),
        **{name: newest[name] for name in values},
        "empty_judged": state[Field.FULL_ML] > 0,
        "empty_nominal_d": nominal_d,
        "empty_conservative_d": conservative_d,
        "empty_optimistic_d": optimistic_d,
    }


async def save_shards(
    connection: asyncpg.Connection, epochs: Mapping[int, int], statuses: Mapping[int, ShardStatus]
) -> None:
    """Of those that are ours. Raises FencedError where somebody else has one."""
    ours = [shard for shard in statuses if shard in epochs]
    if not ours:
        return
    columns = [list(column) for column in zip(*(statuses[shard] for shard in ours), strict=True)]
    done = await connection.execute(_SHARDS, ours, [epochs[shard] for shard in ours], *columns)
    if done != f"UPDATE {len(ours)}":
        raise FencedError(f"shard {ranges_of(ours)} has a new owner")
