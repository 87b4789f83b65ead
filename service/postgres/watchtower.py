"""Who watches, and what did it see? One leader, by a lock that ends with its connection."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from service.core.lifecycle import AlertWritten
from service.core.rulebook import Rulebook
from service.core.way import Broken
from service.ports import StoreUnavailableError
from service.postgres import chains, drills, escalations, shards, silence, standing, unraised, way
from service.postgres.alerts import AlertStore
from service.postgres.outage import outages_told

_LOCK: Final = 0x70770001  # held by the process that watches
ROOTS_EVERY: Final = timedelta(minutes=5)
OUTAGE_AFTER: Final = timedelta(seconds=20)
_TRY_TO_LEAD: Final = "SELECT pg_try_advisory_lock($1)"


class PostgresWatchtower:
    """`loops.watch.Watchtower` on PostgreSQL, over a connection of its own."""

    def __init__(
        self,
        url: str,
        alert_store: AlertStore,
        rulebook: Rulebook,
        *,
        outage_after: timedelta = OUTAGE_AFTER,
        also: Callable[[datetime], Sequence[Broken]] = lambda _: (),
    ) -> None:
        """A part of the service that is broken for `outage_after` is told of; `also`: what no table shows."""
        self._url, self._alert_store, self._rulebook = url, alert_store, rulebook
        self._outage_after, self._also = outage_after, also
        self._connection: asyncpg.Connection | None = None
        self._leads = False
        self._readable_since: datetime | None = None
        self._roots_due_at = datetime.min.replace(tzinfo=UTC)

    def use(self, rulebook: Rulebook) -> None:
        """Judge by `rulebook` from the next look on."""
        self._rulebook = rulebook
        self._alert_store.use(rulebook)

    async def look(self, now: datetime) -> list[AlertWritten] | None:
        try:
            with outages_told():
                connection = await self._connected(now)
                self._leads = self._leads or await connection.fetchval(_TRY_TO_LEAD, _LOCK)
                if not self._leads:
                    return None
                written = await silence.look_once(connection, self._alert_store, self._rulebook, now)
                written += await standing.look_once(connection, self._alert_store, self._rulebook, now)
                written += await unraised.look_once(connection, self._alert_store, standing.JUDGED_HERE, now)
                written += await shards.look_once(connection, self._alert_store, self._rulebook, now)
                written += await way.look_once(
                    connection,
                    self._alert_store,
                    self._also(now),
                    self._outage_after,
                    now,
                    readable_since=self._readable_since,
                )
                written += await drills.look_once(connection, self._alert_store, now)
                written += await escalations.look_once(connection, self._alert_store, now)
                await self._add_roots(connection, now)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            raise StoreUnavailableError(f"an alert is locked: {error}") from error
        except BaseException:
            await self.close()
            raise
        return written

    async def _add_roots(self, connection: asyncpg.Connection, now: datetime) -> None:
        if now >= self._roots_due_at:
            await chains.add_roots(connection, now)
            self._roots_due_at = now + ROOTS_EVERY

    async def close(self) -> None:
        """Lead no longer."""
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            connection.terminate()

    async def _connected(self, now: datetime) -> asyncpg.Connection:
        if self._connection is None:
            self._readable_since = now
            self._connection = await asyncpg.connect(
                self._url,
                timeout=10,
                command_timeout=60,
                server_settings={
                    "application_name": "pumpwatch-watch",
                    # Who holds an alert's row must not stop the watch for long, nor a leader that is gone the next one.
                    "lock_timeout": "5s",
                    # Silence comes over many pumps at once: a plan kept from before knows none.
                    "plan_cache_mode": "force_custom_plan",
                    "idle_in_transaction_session_timeout": "60s",
                    "tcp_keepalives_idle": "3",
                    "tcp_keepalives_interval": "2",
                    "tcp_keepalives_count": "3",
                },
            )
        return self._connection
