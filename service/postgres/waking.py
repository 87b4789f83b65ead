"""Who is told that notifications were committed? Whoever listens, and nobody needs to: all of them poll as well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from service.postgres.outage import OUTAGES

CHANNEL: Final = "pumpwatch_outbox"
"""NOTIFY on it says only "wake up"; what there is to do stands in the rows."""

UNDELIVERED: Final = "pumpwatch_undelivered"
"""NOTIFY on it says that the view `undelivered_page` has a new row, unless only time has made it."""


@asynccontextmanager
async def woken_by(database_url: str, channel: str = CHANNEL) -> AsyncIterator[asyncio.Event]:
    """An event that is set when somebody called, and when a call may have been missed.

    It listens on a connection of its own, and connects again when that is lost; whoever waits polls as well.
    """
    wake = asyncio.Event()
    listener = asyncio.create_task(_listen(database_url, channel, wake))
    try:
        yield wake
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def _listen(database_url: str, channel: str, wake: asyncio.Event) -> None:
    while True:
        with suppress(*OUTAGES):
            lost = asyncio.Event()
            connection = await asyncpg.connect(database_url)
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(channel, lambda *_: wake.set())
                wake.set()
                await lost.wait()
            finally:
                connection.terminate()
        await asyncio.sleep(1)
