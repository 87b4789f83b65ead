"""Does the database answer somebody who comes anew, and does it take what is written? And what do its tables show?"""

import os
import socket
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.change import Condition
from service.core.way import Seen
from service.ports import StoreUnavailableError
from service.postgres.health import broken_links
from service.postgres.outage import outages_told
from service.postgres.way import broken

ANSWERS_WITHIN_S: Final = 5.0
_BEYOND_DELIVERY: Final = {("deliver", Condition.ROLE_SILENT), ("canary", Condition.CANARY_LOST)}

_WRITE: Final = """
INSERT INTO storage_probe (instance, at) VALUES ($1, now()) ON CONFLICT (instance) DO UPDATE SET at = excluded.at
"""
_FORGET: Final = "DELETE FROM storage_probe WHERE at < now() - interval '1 day'"


class PostgresProbe:
    """A connection for each look: one that stands shows neither a full server nor that another is primary now."""

    def __init__(self, url: str, after: timedelta) -> None:
        self._url, self._after = url, after
        self._instance = f"{socket.gethostname()}/{os.getpid()}"

    async def look(self, now: datetime) -> Seen:
        """Raises StoreUnavailableError, also for what is no outage: whatever keeps us out must be told of."""
        try:
            with outages_told():
                connection = await asyncpg.connect(
                    self._url,
                    timeout=ANSWERS_WITHIN_S,
                    command_timeout=ANSWERS_WITHIN_S,
                    server_settings={"application_name": "pumpwatch-probe"},
                )
                try:
                    await connection.execute(_WRITE, self._instance)
                    await connection.execute(_FORGET)
                    links = await broken_links(connection, now)
                    parts = (
                        [] if links[:1] and links[0][0] == "database" else await broken(connection, self._after, now)
                    )
                finally:
                    connection.terminate()
        except asyncpg.PostgresError as error:
            raise StoreUnavailableError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
        return Seen(links, [each for each in parts if (each.part, each.condition) in _BEYOND_DELIVERY])
