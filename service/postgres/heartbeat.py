"""Does a role live, and is it well? Each says so every two seconds; /ready and the board read it."""

from datetime import datetime
from typing import Final

import asyncpg

_BEAT: Final = """
    INSERT INTO role_heartbeat (role, instance, at, ready, reason) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (role, instance) DO UPDATE SET at = excluded.at, ready = excluded.ready, reason = excluded.reason
"""


async def beat(connection: asyncpg.Connection, role: str, instance: str, now: datetime, problem: str = "") -> None:
    await connection.execute(_BEAT, role, instance, now, not problem, problem)
