"""What becomes of the registry when another pump takes a pump's place? The new one is listed, the old one goes out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from service.core.registry import RegistryEntry
from service.postgres import care, registry

IN_PLACE: Final = ("implanted_on", "in_service", "pump_id")
"""Of the new pump's entry, what an exchange itself says."""


class ExchangeRefusedError(Exception):
    """One of the two pumps is not such that it could be exchanged; the text says why."""


_SUCCESSOR: Final = "SELECT pump FROM pump WHERE pump_id = $1"


async def exchange(
    connection: asyncpg.Connection,
    pump_id: str,
    new_id: str,
    changes: Mapping[str, Any],
    actor: str,
    now: datetime,
    *,
    at: datetime,
    note: str,
    shard: int = 0,
) -> bool:
    """List the new pump as the old one was, but for `changes`, take the old one out of service, and link the two.

    In the caller's transaction. False: there is no such pump. Raises ExchangeRefusedError.
    """
    # In the order of the ids, as imports lock them.
    rows = {each: await registry.entry_for_update(connection, each) for each in sorted({pump_id, new_id})}
    old, known = rows[pump_id], rows[new_id]
    if old is None:
        return False
    if pump_id == new_id:
        raise ExchangeRefusedError("a pump cannot take its own place")
    if not old["registered"]:
        raise ExchangeRefusedError(f"{pump_id} is in nobody's registry: list it first")
    if known is not None and known["registered"]:
        raise ExchangeRefusedError(f"{new_id} is listed already, as a pump of its own")
    before = registry.as_entry(old)
    given = {"pump_id": new_id, "in_service": True, "implanted_on": at.date(), **changes}
    after: RegistryEntry = msgspec.structs.replace(before, **given)
    out = msgspec.structs.replace(before, in_service=False)
    await registry.upsert(connection, sorted([out, after], key=lambda entry: entry.pump_id), shard)
    successor = await connection.fetchval(_SUCCESSOR, new_id)
    recorded = care.Recorded(kind=care.Kind.EXCHANGE, from_at=at, note=note, successor=successor)
    try:
        await care.record(connection, pump_id, recorded, actor, now)
    except asyncpg.UniqueViolationError:
        raise ExchangeRefusedError(f"{pump_id} was exchanged before") from None
    return True
