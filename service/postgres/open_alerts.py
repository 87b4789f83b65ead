"""What stands open, the most urgent first? With who was told of it and what the one who answered said."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from service.core.canary import SUBJECT


class Chosen(NamedTuple):
    """Of which sites, pump and priority; None: of all."""

    sites: Sequence[str] | None
    """Those that the visitor may see."""
    site: str | None
    priority: str | None
    limit: int
    pump_id: str | None = None


# First what nobody has answered, then what somebody has, then what is shelved or told with another; of each the most
# urgent, and of those the oldest. `evidence` comes without the readings: they are for the alert's own page.
_OPEN: Final = f"""
WITH open AS (
    SELECT a.*, p.pump_id, coalesce(p.site, a.site) AS of_site, count(*) OVER () AS total,
           CASE WHEN a.inhibited_by IS NOT NULL OR a.shelved_until IS NOT NULL THEN 'quiet'
                WHEN a.acknowledged_at IS NOT NULL THEN 'answered' ELSE 'asking' END AS part
    FROM alert AS a LEFT JOIN pump AS p ON p.pump = a.pump
    WHERE a.state <> 'resolved' AND a.subject <> '{SUBJECT}'
        AND ($1::text[] IS NULL OR coalesce(p.site, a.site) = ANY ($1))
        AND ($2::text IS NULL OR coalesce(p.site, a.site) = $2) AND ($3::text IS NULL OR a.priority = $3)
        AND ($5::text IS NULL OR p.pump_id = $5)
    ORDER BY array_position(ARRAY['asking', 'answered', 'quiet'],
                 CASE WHEN a.inhibited_by IS NOT NULL OR a.shelved_until IS NOT NULL THEN 'quiet'
                      WHEN a.acknowledged_at IS NOT NULL THEN 'answered' ELSE 'asking' END),
             array_position(ARRAY['high', 'medium', 'low'], a.priority), a.raised_at, a.id
    LIMIT $4
)
SELECT o.id, o.subject, o.pump_id, o.of_site AS site, o.condition, o.priority, o.state, o.part, o.raised_at,
       o.acknowledged_at, o.acknowledged_by, o.shelved_until, o.shelved_by, o.shelf_reason, o.inhibited_by,
       o.chattering, o.simulated, o.total, (o.evidence - 'readings')::text AS evidence, told.endpoints,
       CASE WHEN o.acknowledged_at IS NULL THEN '' ELSE coalesce((
           SELECT note FROM alert_history AS h WHERE h.alert_id = o.id AND h.event = 'acknowledged'
           ORDER BY number DESC LIMIT 1), '') END AS note
FROM open AS o
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg(name, state), '{{}}')::text AS endpoints FROM (
        SELECT DISTINCT ON (e.name) e.name, n.state FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint
        WHERE n.alert_id = o.id AND n.kind NOT IN ('acknowledged', 'resolved')
        ORDER BY e.name, n.number DESC
    ) AS newest
) AS told
ORDER BY array_position(ARRAY['asking', 'answered', 'quiet'], o.part),
         array_position(ARRAY['high', 'medium', 'low'], o.priority), o.raised_at, o.id
"""


async def open_alerts(connection: asyncpg.Connection, chosen: Chosen) -> list[asyncpg.Record]:
    """`total` is of all that are open, also beyond the limit; `endpoints` is JSON text: {name: state}."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _OPEN, chosen.sites, chosen.site, chosen.priority, chosen.limit, chosen.pump_id
    )
    return rows
