"""How is a pump forgotten? Everything that it said, and what was made of it, in one transaction.

What stays: the place of its row, under another name; that there were alerts, when, and what people did about them.
The history of alerts and the audit are chained by hashes: an entry taken out of them would look like a forgery, so
neither ever holds what a pump measured (docs/operations.md).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import asyncpg

from service.postgres.accounts import audit
from service.postgres.books import topics_of

ERASED: Final = "erased-{key}"


class ErasureRefusedError(Exception):
    """The pump is still watched. The text says what to do first."""


_PUMP: Final = "SELECT pump, shard, in_service FROM pump WHERE pump_id = $1 AND erased_at IS NULL"
_LOCKED: Final = f"{_PUMP} FOR UPDATE"
_OPEN: Final = "SELECT count(*) FROM alert WHERE pump = $1 AND state <> 'resolved'"
# The ingester holds the pump in memory: it ends at its next batch, and begins anew without it.
_FENCE: Final = "UPDATE shard SET epoch = epoch + 1 WHERE shard = $1"
# What may lie in parts that are compressed already; unknown to plain PostgreSQL.
_NO_LIMIT: Final = """
SELECT set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true)
WHERE EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')
"""
# Tables that know pumps by their ids.
_BY_ID: Final = ("quarantine_day", "change", "repeating")
# Every table in which rows of one pump are, but for its alerts.
_OF_PUMP: Final = """
SELECT c.table_name
FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE c.table_schema = current_schema() AND c.column_name = 'pump' AND t.table_type = 'BASE TABLE'
    AND c.table_name NOT IN ('pump', 'alert') AND NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = format('%I.%I', c.table_schema, c.table_name)::regclass)
ORDER BY c.table_name = 'stored_reading' DESC, 1
"""
_READINGS: Final = "DELETE FROM stored_reading WHERE pump = $1"
# The hours and days that TimescaleDB keeps.
_HAS_KEPT: Final = "SELECT to_regclass('timescaledb_information.continuous_aggregates') IS NOT NULL"
_KEPT: Final = """
SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) AS name
FROM timescaledb_information.continuous_aggregates WHERE view_schema = current_schema()
"""
_QUARANTINE: Final = "DELETE FROM quarantine WHERE topic = ANY ($1::text[])"
_OVERRIDES: Final = """
UPDATE rule_override SET name = $2, ended_at = coalesce(ended_at, $3), ended_by = coalesce(ended_by, $4)
WHERE scope = 'pump' AND name = $1
"""
# Of an alert stays what its chain speaks of: when it was, how urgent, and who answered.
_ALERTS: Final = """
UPDATE alert SET subject = 'pump:' || $2, shelf_reason = NULL,
    evidence = jsonb_build_object('step', coalesce(evidence -> 'step', '1'), 'erased', true)
WHERE pump = $1
"""
_ATTEMPTS: Final = """
UPDATE attempt SET answer = '', detail = '' FROM notification AS n JOIN alert ON alert.id = n.alert_id
WHERE alert.pump = $1 AND attempt.notification_id = n.id
"""
_NOTIFICATIONS: Final = """
UPDATE notification SET body = jsonb_build_object('type', body -> 'type', 'erased', true)
FROM alert WHERE alert.pump = $1 AND notification.alert_id = alert.id
"""
_ANSWERS: Final = "DELETE FROM idempotency WHERE position(convert_to($1, 'UTF8') IN body) > 0"
_RENAME: Final = """
UPDATE pump SET pump_id = $2, erased_at = $3, updated_at = $3, site = NULL, time_zone = 'UTC', model = DEFAULT,
    flow_channel = DEFAULT, reservoir_channel = DEFAULT, capacity_ml = DEFAULT, drug = DEFAULT, drug_class = DEFAULT,
    concentration_ug_ml = NULL, interval_s = DEFAULT, next_refill_on = NULL, bolus_daily_cap_ul = NULL,
    implanted_on = NULL, mri_from_at = NULL, mri_until_at = NULL, in_service = false, registered = false,
    version = version + 1
WHERE pump = $1
"""


async def erase(
    connection: asyncpg.Connection, pump_id: str, reason: str, actor: str, now: datetime
) -> Mapping[str, int] | None:
    """Forget a pump for good; how many rows went, by table. None: there is no such pump.

    Raises ErasureRefusedError while it is in service or something is open of it.
    """
    async with connection.transaction():
        row = _checked(await connection.fetchrow(_PUMP, pump_id), pump_id)
        if row is None:
            return None
        key = row["pump"]
        await connection.execute(_NO_LIMIT)
        # Most of the work while nobody waits for it. Nothing else may be locked before the shard: its batches lock so.
        said = _rows(await connection.execute(_READINGS, key))
        await connection.execute(_FENCE, row["shard"])
        if _checked(await connection.fetchrow(_LOCKED, pump_id), pump_id) is None:
            return None
        if count := await connection.fetchval(_OPEN, key):
            raise ErasureRefusedError(
                f"{count} alerts of {pump_id} are open: they end within a minute, or need a reset"
            )
        name = ERASED.format(key=key)
        gone = await _delete(connection, key, pump_id)
        gone["stored_reading"] += said
        await connection.execute(_OVERRIDES, pump_id, name, now, actor)
        for statement in (_ATTEMPTS, _NOTIFICATIONS):
            await connection.execute(statement, key)
        gone["alert_evidence"] = _rows(await connection.execute(_ALERTS, key, name))
        await connection.execute(_ANSWERS, pump_id)
        await connection.execute(_RENAME, key, name, now)
        detail: dict[str, Any] = {"reason": reason, "became": name, "rows": gone}
        await audit(connection, actor, "pump_erased", pump_id, detail)
    return {table: count for table, count in gone.items() if count}


async def _delete(connection: asyncpg.Connection, key: int, pump_id: str) -> dict[str, int]:
    tables = [row["table_name"] for row in await connection.fetch(_OF_PUMP)]
    if await connection.fetchval(_HAS_KEPT):
        tables += [row["name"] for row in await connection.fetch(_KEPT)]
    gone = {table: _rows(await connection.execute(f"DELETE FROM {table} WHERE pump = $1", key)) for table in tables}
    gone["quarantine"] = _rows(await connection.execute(_QUARANTINE, topics_of(pump_id)))
    for table in _BY_ID:
        gone[table] = _rows(await connection.execute(f"DELETE FROM {table} WHERE pump_id = $1", pump_id))
    return gone


def _checked(row: asyncpg.Record | None, pump_id: str) -> asyncpg.Record | None:
    if row is not None and row["in_service"]:
        raise ErasureRefusedError(f"{pump_id} is in service: take it out of service first")
    return row


def _rows(said: str) -> int:
    """Of the tag that a statement answers: `DELETE 17`."""
    return int(said.rpartition(" ")[2])
