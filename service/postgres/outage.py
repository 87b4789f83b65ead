"""Which errors mean that the database cannot be reached, and not that we asked for something wrong?"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from service.ports import StoreUnavailableError

OUTAGES = (
    OSError,  # refused, reset, timed out, no such host
    asyncpg.InterfaceError,  # the connection was closed under us
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, terminated by an administrator
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or one that somebody has made read-only: another may be primary
    asyncpg.InternalClientError,  # the server has said that it ends the connection, and not hung up yet
)


@contextmanager
def outages_told() -> Iterator[None]:
    """Raise StoreUnavailableError for an outage, with the first line of what the driver said."""
    try:
        yield
    except OUTAGES as error:
        if isinstance(error, ValueError):  # asyncpg.DataError: an argument of ours was wrong
            raise
        reason = str(error).partition("\n")[0]
        raise StoreUnavailableError(f"{type(error).__name__}: {reason}") from error
