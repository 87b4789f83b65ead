"""Who may write for a shard, and did the last batch get in? One row is both the fence and the batch's record.

Each batch updates the row first, in its own transaction, where epoch and owner match: a takeover waits for it, and
makes every later batch of the old owner fail. When COMMIT's answer is lost, the row is read under its lock: the lock
waits until the server has decided, and the batch number then says how.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from service.logs import tell
from service.ports import FencedError
from service.postgres.patient import NEIGHBOUR_TROUBLE, PatientConnection

# Win the shard: every batch of an earlier owner fails from here on.
_TAKE_OVER: Final = """
    INSERT INTO shard (shard, epoch, owner, reason) VALUES ($1, 1, $2, 'starting')
    ON CONFLICT (shard)
    DO UPDATE SET epoch = shard.epoch + 1, owner = $2, batch_no = 0, reason = 'starting', marker_at = NULL,
        caught_up_at = coalesce(shard.marker_at, shard.caught_up_at)
    RETURNING epoch
"""
# Pass the fence and leave the batch's number; no row: somebody else owns the shard.
_ENTER: Final = "UPDATE shard SET batch_no = $3 WHERE shard = $1 AND epoch = $2"
# What did the server make of the last batch? Waits for a transaction that is still under way.
_LOOK: Final = "SELECT epoch, batch_no FROM shard WHERE shard = $1 FOR UPDATE"


# Who cannot write a batch may well say so: else it would be taken for dead.
_SAY_TROUBLE: Final = """
    UPDATE role_heartbeat SET at = now(), ready = false, reason = $2 WHERE role = 'ingest' AND instance = $1
"""


class FencedWriter(PatientConnection):
    """Transactions that happen exactly once while the shard is ours."""

    def __init__(self, url: str, shard: int) -> None:
        super().__init__(url, f"pumpwatch-ingest-{shard}")
        self._shard = shard
        self.epoch = 0
        self._batch_no = 0

    async def take_over(self, owner: str) -> None:
        """Win the shard's epoch; waits for the database as long as it takes."""

        async def win(connection: asyncpg.Connection) -> None:
            self.epoch = await connection.fetchval(_TAKE_OVER, self._shard, owner)

        await self.read(win)
        self._batch_no = 0
        tell("shard_taken_over", shard=self._shard, epoch=self.epoch)

    async def write(self, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        """Run `work` in one fenced transaction, once, however often the database goes away meanwhile.

        Raises FencedError when the shard is no longer ours, and what `work` raises that is no neighbour's trouble.
        """
        self._batch_no += 1
        attempt = 0
        while True:
            try:
                connection = await self._connected()
                if attempt:
                    if await self._happened(connection):
                        return
                    await connection.execute(_SAY_TROUBLE, f"shard-{self._shard}", self.problem)
                async with connection.transaction():
                    if await connection.execute(_ENTER, self._shard, self.epoch, self._batch_no) != "UPDATE 1":
                        raise FencedError(f"shard {self._shard} has a new owner")
                    await work(connection)
            except NEIGHBOUR_TROUBLE as error:
                attempt = await self._wait(error, attempt)
            else:
                self.problem = ""
                return

    async def _happened(self, connection: asyncpg.Connection) -> bool:
        row = await connection.fetchrow(_LOOK, self._shard)
        if row is None or row["epoch"] != self.epoch:
            raise FencedError(f"shard {self._shard} has a new owner")
        return bool(row["batch_no"] == self._batch_no)
