"""Which boots have people accepted, although they are further ahead than can be? Asked when such a one comes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from service.core.boots import MOST_BOOTS_AHEAD
from service.core.reading import boot_of
from service.postgres.accounts import audit


class BootRefusedError(Exception):
    """There is nothing to accept."""


_KNOWN: Final = """
SELECT p.pump, c.through FROM pump AS p LEFT JOIN rule_checkpoint AS c ON c.pump = p.pump AND c.taken_on IS NULL
WHERE p.pump_id = $1 AND p.erased_at IS NULL FOR NO KEY UPDATE OF p
"""
# One a pump: what is beyond it by little comes of it.
_ACCEPT: Final = """
INSERT INTO accepted_boot (pump, boot, accepted_at, accepted_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (pump) DO UPDATE
SET boot = excluded.boot, accepted_at = excluded.accepted_at, accepted_by = excluded.accepted_by
"""
_ACCEPTED: Final = "SELECT pump, boot FROM accepted_boot WHERE pump = ANY ($1::integer[])"


async def accept(
    connection: asyncpg.Connection, pump_id: str, boot: int, reason: str, actor: str, now: datetime
) -> bool:
    """Take what comes of this boot, and of those that may follow it. False: there is no such pump.

    Raises BootRefusedError where it would be taken anyway: whoever mistypes it is told.
    """
    async with connection.transaction():
        known = await connection.fetchrow(_KNOWN, pump_id)
        if known is None:
            return False
        heard = boot_of(known["through"] if known["through"] is not None else 0)
        if boot <= heard + MOST_BOOTS_AHEAD:
            raise BootRefusedError(
                f"{pump_id} was last known in boot {heard}: {boot} is no more than {MOST_BOOTS_AHEAD} ahead"
            )
        await connection.execute(_ACCEPT, known["pump"], boot, now, actor)
        await audit(connection, actor, "boot_accepted", pump_id, {"boot": boot, "heard": heard, "reason": reason})
    return True


async def accepted(connection: asyncpg.Connection, keys: Sequence[int]) -> dict[int, int]:
    return {row["pump"]: row["boot"] for row in await connection.fetch(_ACCEPTED, list(keys))}
