"""What is in the database? Every reading and event, and every alert with its onsets."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import asyncpg

from tests.failures.said import Item


class Row(NamedTuple):
    pump_id: str
    position: int
    item: Item


class Raised(NamedTuple):
    """One alert. `onsets`: the position of each reading at which its condition was found to hold."""

    pump_id: str
    condition: str
    onsets: tuple[int, ...]
    began_ms: int
    ended_ms: int | None  # None: the condition holds
    behind_a_gap: bool  # patience has ended on this pump: something was found before all readings were there
    withdrawn: bool
    unannounced: int  # onsets that were to be told and stand in no outbox


class Stored(NamedTuple):
    rows: list[Row]
    raised: list[Raised]


_ROWS = """
    SELECT pump_id, position, round(extract(epoch FROM measured_at) * 1000)::bigint AS time_ms, flow_ml_d
    FROM reading JOIN pump USING (pump)
    UNION ALL
    SELECT pump_id, position, round(extract(epoch FROM measured_at) * 1000)::bigint, NULL
    FROM event JOIN pump USING (pump)
"""
# Where late data has made up an episode that was over, nobody is told of its onset.
_RAISED = """
    SELECT pump_id, condition,
           round(extract(epoch FROM began_at) * 1000)::bigint AS began_ms,
           round(extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms,
           EXISTS (SELECT FROM gap WHERE gap.pump = a.pump) AS behind_a_gap,
           array_agg(h.position ORDER BY h.number) FILTER (WHERE h.event = 'condition_began') AS onsets,
           max(h.position) FILTER (WHERE h.number = corrected.number) AS corrected,
           bool_or(h.event = 'withdrawn') AS withdrawn,
           count(*) FILTER (
               WHERE h.event = 'condition_began' AND h.note <> 'late_data' AND n.id IS NULL AND NOT told_by_its_cause
           ) AS unannounced
    FROM alert a JOIN pump USING (pump) JOIN alert_history h ON h.alert_id = a.id
    LEFT JOIN LATERAL (
        SELECT max(number) AS number FROM alert_history WHERE alert_id = a.id AND event = 'onset_corrected'
    ) AS corrected ON true
    LEFT JOIN notification n ON n.alert_id = a.id AND n.number = h.number AND n.kind = 'activated'
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM notification c WHERE c.alert_id = a.inhibited_by AND c.kind = 'activated')
    ) AS cause(told_by_its_cause)
    WHERE a.kind = 'physiological'
    GROUP BY a.id, pump_id ORDER BY pump_id, condition, a.detected_position
"""
# How much of each pump is stored up to a position of its own.
_COUNT_THROUGH = """
    SELECT said.pump_id, (
        SELECT count(DISTINCT position) FROM (
            SELECT position FROM reading r WHERE r.pump = pump.pump AND position <= said.through
            UNION ALL SELECT position FROM event e WHERE e.pump = pump.pump AND position <= said.through
        ) AS stored
    ) AS stored
    FROM unnest($1::text[], $2::bigint[]) AS said (pump_id, through) JOIN pump USING (pump_id)
"""


async def stored(url: str) -> Stored:
    connection = await asyncpg.connect(url)
    try:
        rows = [Row(row[0], row[1], Item(row[2], row[3])) for row in await connection.fetch(_ROWS)]
        raised = [_raised(dict(row)) for row in await connection.fetch(_RAISED)]
    finally:
        await connection.close()
    return Stored(rows, raised)


def _raised(row: dict[str, Any]) -> Raised:
    began, corrected = row.pop("onsets"), row.pop("corrected")
    onsets = began if corrected is None else [corrected, *began[1:]]
    return Raised(**row, onsets=tuple(onsets))


async def stored_through(url: str, through: Iterable[tuple[str, int]]) -> dict[str, int]:
    """By pump: how many positions are stored up to the one given."""
    pumps = dict(through)
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(_COUNT_THROUGH, list(pumps), list(pumps.values()))
    finally:
        await connection.close()
    return {row["pump_id"]: row["stored"] for row in rows}
