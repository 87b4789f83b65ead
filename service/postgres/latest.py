"""When was each pump last heard, and is its shard caught up? What the `watch` role and the board read."""

import math
from datetime import datetime
from typing import Final

import asyncpg
import numpy as np
import numpy.typing as npt

from service.core.fleet import Fleet
from service.core.rules.reservoir import times_to_empty_d
from service.core.state import Field
from service.postgres.readings import instant

# Last heard and last values. An older reading never replaces a newer one, and our time of hearing never goes back.
_UPSERT: Final = """
    INSERT INTO pump_latest AS l
        (pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml, battery_v, mode,
         empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d)
    SELECT * FROM unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::real[], $6::real[],
                         $7::real[], $8::real[], $9::smallint[], $10::boolean[], $11::real[], $12::real[], $13::real[])
    ON CONFLICT (pump) DO UPDATE SET
        received_at = greatest(l.received_at, excluded.received_at),
        (measured_at, position, program_ml_d, flow_ml_d, reservoir_ml, battery_v, mode) = (
            SELECT newest.* FROM (VALUES
                (excluded.measured_at, excluded.position, excluded.program_ml_d, excluded.flow_ml_d,
                excluded.reservoir_ml,
                 excluded.battery_v, excluded.mode),
                (l.measured_at, l.position, l.program_ml_d, l.flow_ml_d, l.reservoir_ml, l.battery_v, l.mode)
            ) AS newest ORDER BY newest.column2 DESC NULLS LAST LIMIT 1
        ),
        (empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d) = (
            excluded.empty_judged, excluded.empty_nominal_d, excluded.empty_conservative_d,
            excluded.empty_optimistic_d
        )
"""
# Pumps of which no reading is known.
_HEARD: Final = """
    INSERT INTO pump_latest AS l (pump, received_at) SELECT * FROM unnest($1::integer[], $2::timestamptz[])
    ON CONFLICT (pump) DO UPDATE SET received_at = greatest(l.received_at, excluded.received_at)
"""
# How the shard is: its last marker that came back through the broker, since when its session stands, what is wrong.
_SHARD: Final = """
    UPDATE shard
    SET marker_at = coalesce($2, marker_at), session_since = coalesce($3, session_since), reason = $4,
        session_lost_at = coalesce($5, session_lost_at),
        trouble_since = CASE WHEN $4 <> '' THEN coalesce(trouble_since, now()) END
    WHERE shard = $1
"""


# Whether the broker has ever had this shard's session: if it has none now, what it held for us is gone.
_SESSION_RECORDED: Final = "SELECT session_since IS NOT NULL FROM shard WHERE shard = $1"


async def session_recorded(pool: asyncpg.Pool, shard: int) -> bool:
    return bool(await pool.fetchval(_SESSION_RECORDED, shard))


async def save_latest(connection: asyncpg.Connection, fleet: Fleet, rows: npt.NDArray[np.intp]) -> None:
    """Write what was last heard of the pumps in `rows`; of one that has sent events only, that it was heard."""
    said = fleet.latest["position"][rows] >= 0
    await _save_heard(connection, fleet, rows[~said])
    rows = rows[said]
    if not len(rows):
        return
    newest = fleet.latest[rows]
    await connection.execute(
        _UPSERT,
        fleet.keys[rows].tolist(),
        [instant(ms) for ms in fleet.heard_ms[rows].tolist()],
        [instant(ms) for ms in newest["measured_ms"].tolist()],
        newest["position"].tolist(),
        newest["program_ml_d"].tolist(),
        newest["flow_ml_d"].tolist(),
        newest["reservoir_ml"].tolist(),
        newest["battery_v"].tolist(),
        newest["mode"].tolist(),
        (fleet.state[rows, Field.FULL_ML] > 0).tolist(),
        *_times_to_empty(fleet, rows),
    )


def _times_to_empty(fleet: Fleet, rows: npt.NDArray[np.intp]) -> list[list[float | None]]:
    times_d = times_to_empty_d(fleet.state[rows].T, fleet.limits.take(rows)).tolist()
    return [[None if math.isnan(days) else days for days in each] for each in times_d]


async def _save_heard(connection: asyncpg.Connection, fleet: Fleet, rows: npt.NDArray[np.intp]) -> None:
    if len(rows):
        heard = [instant(ms) for ms in fleet.heard_ms[rows].tolist()]
        await connection.execute(_HEARD, fleet.keys[rows].tolist(), heard)


async def save_shard(
    connection: asyncpg.Connection,
    shard: int,
    marker_at: datetime | None,
    session_since: datetime | None,
    reason: str,
    session_lost_at: datetime | None,
) -> None:
    await connection.execute(_SHARD, shard, marker_at, session_since, reason, session_lost_at)
