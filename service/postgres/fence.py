"""Who may write for a shard, and did the last batch get in? One row is both the fence and the batch's record.

Each batch updates the row first, in its own transaction, where epoch and owner match: a takeover waits for it, and
makes every later batch of the old owner fail. When COMMIT's answer is lost, the row is read under its lock: the lock
waits until the server has decided, and the batch number then says how.

Of several shards the first one's row is the record; those of the others are locked, and a takeover waits for them too.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
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
# Pass the fences of the other shards: a change of epoch waits for this, and other changes of the rows do not.
_ENTER_OTHERS: Final = """
    SELECT count(*) FROM (
        SELECT FROM shard AS s JOIN unnest($1::integer[], $2::bigint[]) AS held (shard, epoch) USING (shard, epoch)
        ORDER BY s.shard FOR KEY SHARE OF s
    ) AS ours
"""
# What did the server make of the last batch? Waits for a transaction that is still under way.
_LOOK: Final = "SELECT epoch, batch_no FROM shard WHERE shard = $1 FOR UPDATE"


# Who cannot write a batch may well say so: else it would be taken for dead.
_SAY_TROUBLE: Final = """
    UPDATE role_heartbeat SET at = now(), ready = false, reason = $2 WHERE role = 'ingest' AND instance = $1
"""


class FencedWriter(PatientConnection):
    """Transactions that happen exactly once while the shards are ours: one that is taken over by force, or those that
    are held by leases, of which `instance` names the holder.
    """

    def __init__(self, url: str, shard: int | None, instance: str = "") -> None:
        super().__init__(url, f"pumpwatch-ingest-{instance or shard}")
        self._shard = shard
        self.instance = instance or f"shard-{shard}"
        self.epochs: dict[int, int] = {}
        """Of the shards that are ours, in order."""
        self._batch_no = 0

    async def take_over(self, owner: str) -> None:
        """Win the shard's epoch by force; waits for the database as long as it takes."""
        if self._shard is None:
            return
        shard = self._shard

        async def win(connection: asyncpg.Connection) -> None:
            self.epochs = {shard: await connection.fetchval(_TAKE_OVER, shard, owner)}

        await self.read(win)
        self._batch_no = 0
        tell("shard_taken_over", shard=shard, epoch=self.epochs[shard])

    def hold(self, epochs: Mapping[int, int]) -> None:
        """These are ours as well."""
        self.epochs = dict(sorted({**self.epochs, **epochs}.items()))

    def let_go(self, shards: Collection[int]) -> None:
        self.epochs = {shard: epoch for shard, epoch in self.epochs.items() if shard not in shards}

    async def write(self, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
        """Run `work` in one fenced transaction, once, however often the database goes away meanwhile.

        Raises FencedError when a shard is no longer ours, and what `work` raises that is no neighbour's trouble.
        """
        self._batch_no += 1
        attempt = 0
        while True:
            try:
                connection = await self._connected()
                if attempt:
                    if await self._happened(connection):
                        return
                    await connection.execute(_SAY_TROUBLE, self.instance, self.problem)
                async with connection.transaction():
                    await self._enter(connection)
                    await work(connection)
            except NEIGHBOUR_TROUBLE as error:
                attempt = await self._wait(error, attempt)
            else:
                self.problem = ""
                return

    async def _enter(self, connection: asyncpg.Connection) -> None:
        for shard, epoch in list(self.epochs.items())[:1]:
            if await connection.execute(_ENTER, shard, epoch, self._batch_no) != "UPDATE 1":
                raise FencedError(f"shard {shard} has a new owner")
        others = list(self.epochs)[1:]
        if others:
            epochs = [self.epochs[shard] for shard in others]
            if await connection.fetchval(_ENTER_OTHERS, others, epochs) != len(others):
                raise FencedError(f"one of {len(others)} shards has a new owner")

    async def _happened(self, connection: asyncpg.Connection) -> bool:
        for shard, epoch in list(self.epochs.items())[:1]:
            row = await connection.fetchrow(_LOOK, shard)
            if row is None or row["epoch"] != epoch:
                raise FencedError(f"shard {shard} has a new owner")
            return bool(row["batch_no"] == self._batch_no)
        return False
