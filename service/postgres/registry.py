"""Which pumps are there, and what does their clinic say of them? The registry, versioned."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec

from service.core.reading import DrugClass
from service.core.registry import COLUMNS, RegistryEntry, midnight_ms
from service.core.rulebook import PumpFacts

CHANNEL: Final = "pumpwatch_registry"
"""Notified, without a payload, in the transaction of every change: whoever holds pumps in memory loads them again."""


class Upserted(NamedTuple):
    """What became of the entries, by pump id; entries equal to what is stored are in neither. Values are versions."""

    created: dict[str, int]
    changed: dict[str, int]


# Sites named by entries come into being with them; an existing one is left as it is.
_INSERT_SITES = """
INSERT INTO site (site, name, time_zone)
SELECT DISTINCT ON (given.site) given.site, given.site, given.time_zone
FROM unnest($1::text[], $2::text[]) AS given (site, time_zone)
ORDER BY given.site
ON CONFLICT DO NOTHING
"""

# A cluster has all of its 64 shards, and a pump then the one that the broker maps it to.
# In the order of the ids, so that two imports at once wait for each other instead of deadlocking.
_UPSERT = """
INSERT INTO pump (
    pump_id, site, time_zone, model, flow_channel, reservoir_channel, capacity_ml, drug, drug_class,
    concentration_ug_ml, interval_s, next_refill_on, in_service, simulated, bolus_daily_cap_ul, implanted_on,
    registered, shard
)
SELECT given.*, true, CASE WHEN EXISTS (SELECT FROM shard WHERE shard = 63) THEN shard_of(given.pump_id) ELSE $17 END
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::real[], $8::text[], $9::text[],
    $10::real[], $11::real[], $12::date[], $13::boolean[], $14::boolean[], $15::real[], $16::date[]
) AS given (pump_id)
ORDER BY given.pump_id
ON CONFLICT (pump_id) DO UPDATE SET
    site = EXCLUDED.site, time_zone = EXCLUDED.time_zone, model = EXCLUDED.model,
    flow_channel = EXCLUDED.flow_channel, reservoir_channel = EXCLUDED.reservoir_channel,
    capacity_ml = EXCLUDED.capacity_ml, drug = EXCLUDED.drug, drug_class = EXCLUDED.drug_class,
    concentration_ug_ml = EXCLUDED.concentration_ug_ml, interval_s = EXCLUDED.interval_s,
    next_refill_on = EXCLUDED.next_refill_on, in_service = EXCLUDED.in_service, simulated = EXCLUDED.simulated,
    bolus_daily_cap_ul = EXCLUDED.bolus_daily_cap_ul, implanted_on = EXCLUDED.implanted_on,
    registered = true, version = pump.version + 1, updated_at = now()
WHERE (
    pump.site, pump.time_zone, pump.model, pump.flow_channel, pump.reservoir_channel, pump.capacity_ml, pump.drug,
    pump.drug_class, pump.concentration_ug_ml, pump.interval_s, pump.next_refill_on, pump.in_service,
    pump.simulated, pump.bolus_daily_cap_ul, pump.implanted_on, pump.registered
) IS DISTINCT FROM (
    EXCLUDED.site, EXCLUDED.time_zone, EXCLUDED.model, EXCLUDED.flow_channel, EXCLUDED.reservoir_channel,
    EXCLUDED.capacity_ml, EXCLUDED.drug, EXCLUDED.drug_class, EXCLUDED.concentration_ug_ml, EXCLUDED.interval_s,
    EXCLUDED.next_refill_on, EXCLUDED.in_service, EXCLUDED.simulated, EXCLUDED.bolus_daily_cap_ul,
    EXCLUDED.implanted_on, true
)
RETURNING pump.pump_id, pump.version, pump.xmax = 0 AS created
"""


async def upsert(connection: asyncpg.Connection, entries: Sequence[RegistryEntry], shard: int = 0) -> Upserted:
    """Make the registry say what `entries` say, all or nothing.

    New pumps go to `shard`, or in a cluster to their own; those already as told keep their version.
    """
    async with connection.transaction():
        await connection.execute(_INSERT_SITES, [e.site for e in entries], [e.time_zone for e in entries])
        columns = [[getattr(entry, name) for entry in entries] for name in COLUMNS]
        rows = await connection.fetch(_UPSERT, *columns, shard)
        if rows:
            await connection.execute(f"NOTIFY {CHANNEL}")
    return Upserted(
        created={row["pump_id"]: row["version"] for row in rows if row["created"]},
        changed={row["pump_id"]: row["version"] for row in rows if not row["created"]},
    )


def facts_in(row: asyncpg.Record) -> PumpFacts:
    """What a row of `pump` says that the rules depend on."""
    return PumpFacts(
        drug_class=DrugClass(row["drug_class"]),
        flow_sensor=row["flow_channel"] == "sensor",
        reservoir_sensor=row["reservoir_channel"] == "sensor",
        capacity_ml=row["capacity_ml"],
        interval_s=row["interval_s"],
        bolus_daily_cap_ul=row["bolus_daily_cap_ul"] or 0.0,
        implanted_ms=midnight_ms(row["implanted_on"]),
        site=row["site"] or "",
        mri_from_ms=_ms(row["mri_from_at"]),
        mri_until_ms=_ms(row["mri_until_at"]),
    )


def _ms(at: datetime | None) -> float:
    return math.nan if at is None else at.timestamp() * 1000


# The stored entry of one pump, locked against another change of it; NULL columns of unlisted pumps stay NULL.
# Text is the shortest that gives a `real` back, so 20.3 stays 20.3.
_REAL: Final = {"capacity_ml", "concentration_ug_ml", "interval_s", "bolus_daily_cap_ul"}
ENTRY_COLUMNS: Final = ", ".join(f"{name}::text::float8" if name in _REAL else name for name in COLUMNS)
_ENTRY_FOR_UPDATE = f"SELECT version, registered, {ENTRY_COLUMNS} FROM pump WHERE pump_id = $1 FOR NO KEY UPDATE"


async def entry_for_update(connection: asyncpg.Connection, pump_id: str) -> asyncpg.Record | None:
    """The row's `version`, `registered` and entry; a change in the same transaction cannot be overtaken."""
    return await connection.fetchrow(_ENTRY_FOR_UPDATE, pump_id)


_REGISTERED = f"SELECT {ENTRY_COLUMNS} FROM pump WHERE registered ORDER BY pump_id"


async def registered(connection: asyncpg.Connection) -> list[RegistryEntry]:
    """Every pump that the clinic has listed, as `upsert` takes it back."""
    return [as_entry(row) for row in await connection.fetch(_REGISTERED)]


def as_entry(row: asyncpg.Record) -> RegistryEntry:
    return msgspec.convert({name: row[name] for name in COLUMNS}, RegistryEntry)


# An unlisted pump: the most dangerous drug class and no sensors, which are the column defaults.
_ENROL = """
INSERT INTO pump (pump_id, simulated, shard)
SELECT given.pump_id, given.simulated,
    CASE WHEN EXISTS (SELECT FROM shard WHERE shard = 63) THEN shard_of(given.pump_id) ELSE $3 END
FROM unnest($1::text[], $2::boolean[]) AS given (pump_id, simulated)
ORDER BY given.pump_id
ON CONFLICT DO NOTHING
"""
_KEYS = "SELECT pump_id, pump FROM pump WHERE pump_id = ANY($1::text[])"


async def enrol(
    connection: asyncpg.Connection, pump_ids: Sequence[str], simulated: Sequence[bool], shard: int
) -> dict[str, int]:
    """Return the key of each pump, enrolling as unregistered those that nobody has listed.

    Safe beside others that enrol or import the same pumps; waits for them.
    """
    if not pump_ids:
        return {}
    await connection.execute(_ENROL, pump_ids, simulated, shard)
    # A statement of its own: it sees what another transaction committed while ours waited.
    return {row["pump_id"]: row["pump"] for row in await connection.fetch(_KEYS, pump_ids)}


_OF_SHARD = """
SELECT pump, pump_id, site, time_zone, model, flow_channel, reservoir_channel, capacity_ml::text::float8, drug,
       drug_class, concentration_ug_ml::text::float8, interval_s::text::float8, next_refill_on, in_service,
       bolus_daily_cap_ul::text::float8, implanted_on, registered, simulated, shard, version, mri_from_at, mri_until_at
FROM pump WHERE shard = $1 ORDER BY pump
"""


async def load_pumps(connection: asyncpg.Connection, shard: int) -> list[asyncpg.Record]:
    """What the registry says of every pump of a shard, listed or not, in the order of their keys."""
    rows: list[asyncpg.Record] = await connection.fetch(_OF_SHARD, shard)
    return rows
