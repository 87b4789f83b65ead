"""Who takes a pump out of service, and who puts it back? The registry says that it is out; the record, who said so."""

from datetime import datetime
from typing import Final

import asyncpg

from service.postgres.accounts import audit
from service.postgres.care import CareRefusedError, Kind, Recorded, record
from service.postgres.registry import CHANNEL

_PUMP: Final = """
SELECT p.pump, p.in_service, s.pump_id AS successor
FROM pump AS p
LEFT JOIN care AS c ON c.pump = p.pump AND c.kind = 'exchange'
LEFT JOIN pump AS s ON s.pump = c.successor
WHERE p.pump_id = $1 AND p.erased_at IS NULL FOR NO KEY UPDATE OF p
"""
_SWITCH: Final = """
UPDATE pump SET in_service = NOT in_service, version = version + 1, updated_at = now() WHERE pump = $1
"""
_OVER: Final = """
UPDATE care SET ended_at = $2, ended_by = $3 WHERE pump = $1 AND kind = 'out_of_service' AND ended_at IS NULL
"""


async def take_out(connection: asyncpg.Connection, pump_id: str, note: str, actor: str, now: datetime) -> int | None:
    """The record's number; None: there is no such pump. In the caller's transaction. Raises CareRefusedError."""
    row = await connection.fetchrow(_PUMP, pump_id)
    if row is None:
        return None
    if not row["in_service"]:
        raise CareRefusedError(f"{pump_id} is out of service already")
    await connection.execute(_SWITCH, row["pump"])
    await connection.execute(_OVER, row["pump"], now, actor)  # somebody put it back past us
    return await record(connection, pump_id, Recorded(kind=Kind.OUT_OF_SERVICE, from_at=now, note=note), actor, now)


async def put_back(connection: asyncpg.Connection, pump_id: str, actor: str, now: datetime) -> bool:
    """False: there is no such pump. In the caller's transaction. Raises CareRefusedError."""
    row = await connection.fetchrow(_PUMP, pump_id)
    if row is None:
        return False
    if row["in_service"]:
        raise CareRefusedError(f"{pump_id} is in service")
    if row["successor"] is not None:
        raise CareRefusedError(f"{row['successor']} took its place")
    await connection.execute(_SWITCH, row["pump"])
    await connection.execute(_OVER, row["pump"], now, actor)
    await connection.execute(f"NOTIFY {CHANNEL}")
    await audit(connection, actor, "out_of_service_ended", pump_id)
    return True
