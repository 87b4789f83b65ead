"""What is stored of all pumps over a span of time? For trying a rulebook on it."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from service.core.reading import Items
from service.core.rulebook import PumpFacts
from service.postgres import readings, registry

_PUMPS: Final = """
    SELECT pump, pump_id, site, drug_class, flow_channel, reservoir_channel, capacity_ml, interval_s,
           bolus_daily_cap_ul, implanted_on, mri_from_at, mri_until_at
    FROM pump ORDER BY pump
"""


class KnownPump(NamedTuple):
    pump_id: str
    facts: PumpFacts


async def pumps(connection: asyncpg.Connection) -> dict[int, KnownPump]:
    """The registry as it is now, by the pumps' keys."""
    return {
        row["pump"]: KnownPump(
            row["pump_id"],
            registry.facts_in(row),
        )
        for row in await connection.fetch(_PUMPS)
    }


async def measured_between(connection: asyncpg.Connection, from_at: datetime, until: datetime) -> Items:
    """What all pumps measured and did in [from_at, until), sorted by key and position; `pump` is the key."""
    return await readings.measured_between(connection, from_at, until)
