"""How is the database waited for, however long it is away? One connection, made again whenever it is lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import asyncpg

from service.logs import tell
from service.postgres.outage import OUTAGES

NEIGHBOUR_TROUBLE: Final = (
    *OUTAGES,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,
)


class PatientConnection:
    """`settings`: of the server's session, beside those that bound how long it waits for anybody."""

    def __init__(self, url: str, name: str, settings: Mapping[str, str] | None = None) -> None:
        self._url, self._name, self._settings = url, name, settings or {}
        self._connection: asyncpg.Connection | None = None
        self.problem = "not connected to the database yet"

    async def read(self, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        """Run `work`, which may be run again from the start, until the database has answered."""
        attempt = 0
        while True:
            try:
                await work(await self._connected())
            except NEIGHBOUR_TROUBLE as error:
                attempt = await self._wait(error, attempt)
            else:
                self.problem = ""
                return

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._url,
                timeout=10,
                command_timeout=90,
                server_settings={
                    "application_name": self._name,
                    "lock_timeout": "5s",
                    "statement_timeout": "60s",
                    # Else TimescaleDB refuses a batch that meets many rows which somebody has compressed early.
                    "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
                    "idle_in_transaction_session_timeout": "60s",
                    "tcp_keepalives_idle": "3",
                    "tcp_keepalives_interval": "2",
                    "tcp_keepalives_count": "3",
                    **self._settings,
                },
            )
        return self._connection

    async def _wait(self, error: BaseException, attempt: int) -> int:
        if isinstance(error, ValueError):  # asyncpg's DataError: our own mistake, no trouble of a neighbour
            raise error
        problem = f"database: {type(error).__name__}: {error}".splitlines()[0]
        if problem != self.problem:
            tell("database_troubled", problem=problem)
        self.problem = problem
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        await asyncio.sleep(min(5.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        return min(attempt + 1, 10)
