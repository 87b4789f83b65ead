"""How does a role speak to the database? Over a few connections, none of which can wait or work for ever."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from service.postgres.outbox import no_reset

CONNECT_WITHIN_S: Final = 5
ANSWER_WITHIN_S: Final = 60
# The server gives up before we do: then it says why, and works on for nobody.
BOUNDS: Final = {
    "statement_timeout": f"{ANSWER_WITHIN_S - 5}s",
    "idle_in_transaction_session_timeout": f"{ANSWER_WITHIN_S}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "jit": "off",  # compiling takes longer than any of our queries
}


@asynccontextmanager
async def pool_of(
    url: str, role: str, *, most: int, plans: Mapping[str, str] | None = None, traceless: bool = False
) -> AsyncIterator[asyncpg.Pool]:
    """A pool that connects when it is first used: a database that is away keeps nobody from starting.

    At most `most` connections, however many ask: those wait for one. With `plans` of its own a connection keeps them.
    `traceless`: nothing that is done leaves a trace in a session, so that nothing is reset after each use.
    """
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=most,
        timeout=CONNECT_WITHIN_S,
        command_timeout=ANSWER_WITHIN_S,
        server_settings={"application_name": f"pumpwatch-{role}", **BOUNDS, **(plans or {})},
        reset=no_reset if plans or traceless else None,
    )
    await pool.__aenter__()
    try:
        yield pool
    finally:
        pool.terminate()
