"""What is kept of the canary? Its pump and its endpoint, made when they are not there, and a row for each fault."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from service.core.alert import AlertState
from service.core.canary import ENDPOINT, PUMP_ID, SUBJECT
from service.ports import StoreUnavailableError
from service.postgres.alerts import AlertStore
from service.postgres.endpoints import new_secret
from service.postgres.outage import outages_told
from service.vault import Vault, VaultError

_LOCK: Final = 0x70770002  # held by the process that speaks for the canary
KEPT_FOR: Final = timedelta(days=30)

# It reports as often as it has a fault; nobody is told that it is silent but its own endpoint.
_PUMP: Final = """
INSERT INTO pump (pump_id, model, interval_s, in_service, registered, simulated)
VALUES ($1, 'canary', $2, $3, true, true)
ON CONFLICT (pump_id) DO UPDATE SET interval_s = excluded.interval_s, in_service = excluded.in_service,
    registered = true, simulated = true, version = pump.version + 1, updated_at = now()
WHERE (pump.interval_s, pump.in_service, pump.registered, pump.simulated)
    IS DISTINCT FROM (excluded.interval_s, excluded.in_service, true, true)
"""
_ENDPOINT: Final = "SELECT id, secret FROM endpoint WHERE canary AND deleted_at IS NULL FOR UPDATE"
_NEW_ENDPOINT: Final = """
INSERT INTO endpoint (name, url, secret, accepts_simulated, canary) VALUES ($1, $2, $3, true, true)
ON CONFLICT (name) WHERE deleted_at IS NULL DO UPDATE SET url = excluded.url, secret = excluded.secret, canary = true
"""
_ADDRESS: Final = """
UPDATE endpoint SET url = $2, secret = $3, enabled = true, disabled_reason = NULL, version = version + 1
WHERE id = $1 AND (url <> $2 OR secret <> $3 OR NOT enabled)
"""
_ASK: Final = """
INSERT INTO canary (every_s, within_s) VALUES ($1, $2)
ON CONFLICT (one) DO UPDATE SET every_s = excluded.every_s, within_s = excluded.within_s, asked_at = now()
"""


async def set_up(
    connection: asyncpg.Connection, vault: Vault, url: str, *, every: timedelta, within: timedelta
) -> None:
    """Make the pump, the endpoint and what is asked of them; `every` of zero ends the canary. Raises VaultError."""
    asked = every > timedelta(0)
    async with connection.transaction():
        if asked or await connection.fetchval("SELECT EXISTS (SELECT FROM canary)"):
            await connection.execute(_ASK, every.total_seconds(), within.total_seconds())
            await connection.execute(_PUMP, PUMP_ID, max(every.total_seconds(), 60.0), asked)
        if asked:
            await _set_up_endpoint(connection, vault, url)


async def _set_up_endpoint(connection: asyncpg.Connection, vault: Vault, url: str) -> None:
    row = await connection.fetchrow(_ENDPOINT)
    if row is None:
        await connection.execute(_NEW_ENDPOINT, ENDPOINT, url, vault.seal(new_secret()))
        return
    try:
        vault.open(row["secret"])
        secret = row["secret"]
    except VaultError:  # sealed with a key that is no longer ours: nobody else has this secret
        secret = vault.seal(new_secret())
    await connection.execute(_ADDRESS, row["id"], url, secret)


_OWN_KEY: Final = "SELECT secret FROM endpoint WHERE canary AND enabled AND deleted_at IS NULL"
# A page of the canary's alert: it tells of the fault that the alert shows now, if it was written after that.
_ARRIVED: Final = """
UPDATE canary_round AS r SET arrived_at = $3
FROM alert AS a
WHERE a.id = $1 AND a.subject = $4 AND r.arrived_at IS NULL AND r.begun_at <= $2::timestamptz + interval '1 second'
    AND r.begun_at = 'epoch'::timestamptz + (a.evidence->>'detected_ms')::bigint * interval '1 ms'
RETURNING r.number
"""


async def secret_of(connection: asyncpg.Connection, vault: Vault) -> str | None:
    """What signs what its endpoint is sent; None without a canary."""
    sealed = await connection.fetchval(_OWN_KEY)
    return None if sealed is None else vault.open(sealed)


async def arrived(connection: asyncpg.Connection, alert: UUID, written_at: datetime, now: datetime) -> bool:
    """Whether that was the first news of a fault."""
    return await connection.fetchval(_ARRIVED, alert, written_at, now, SUBJECT) is not None


_TRY_TO_SPEAK: Final = "SELECT pg_try_advisory_lock($1)"
_BOOT: Final = """
UPDATE canary SET boot = 1 + greatest(boot, (
    SELECT max(position) >> 40 FROM pump_latest JOIN pump USING (pump) WHERE pump_id = $1
)) RETURNING boot
"""
_BEGIN: Final = "INSERT INTO canary_round (begun_at) VALUES ($1) RETURNING number"
_FORGET: Final = "DELETE FROM canary_round WHERE begun_at < $1"
_TOOK: Final = "SELECT arrived_at - begun_at FROM canary_round WHERE number = $1"
_OPEN: Final = "SELECT id, state FROM alert WHERE subject = $1 AND condition = 'battery_reset' AND state <> 'resolved'"
_OVER: Final = "UPDATE canary_round SET over_at = $2 WHERE number = $1"


class PostgresRounds:
    """`loops.canary.Rounds`, over a connection of its own: whose it is speaks for the pump."""

    def __init__(self, url: str, alert_store: AlertStore) -> None:
        self._url, self._alert_store = url, alert_store
        self._connection: asyncpg.Connection | None = None

    async def take(self) -> int | None:
        with outages_told():
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(
                    self._url,
                    timeout=10,
                    command_timeout=30,
                    server_settings={"application_name": "pumpwatch-canary", "lock_timeout": "5s"},
                )
            if not await self._connection.fetchval(_TRY_TO_SPEAK, _LOCK):
                return None
            boot: int | None = await self._connection.fetchval(_BOOT, PUMP_ID)
            return boot

    async def begin(self, at: datetime) -> int:
        with outages_told():
            await self._connected.execute(_FORGET, at - KEPT_FOR)
            number: int = await self._connected.fetchval(_BEGIN, at)
            return number

    async def took(self, number: int) -> timedelta | None:
        with outages_told():
            found: timedelta | None = await self._connected.fetchval(_TOOK, number)
            return found

    async def close_alert(self, now: datetime) -> bool:
        with outages_told():
            row = await self._connected.fetchrow(_OPEN, SUBJECT)
            if row is not None and row["state"] == AlertState.LATCHED:
                await self._alert_store.reset(self._connected, row["id"], "canary", "the canary was heard", now)
                return True
            return row is None

    async def over(self, number: int, now: datetime) -> None:
        with outages_told():
            await self._connected.execute(_OVER, number, now)

    async def close(self) -> None:
        """Somebody else may speak for the pump."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    @property
    def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            raise StoreUnavailableError("the connection was lost")
        return self._connection
