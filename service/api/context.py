"""What does a route need? The pool, the settings, the clock and the rest, and who is asking."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import asyncpg
from fastapi import Depends, Path, Query, Request
from pydantic import AwareDatetime

from service.api.cursor import FIRST_INSTANT, LAST_INSTANT
from service.api.problems import Problem, not_found
from service.api.throttle import Throttle
from service.core.address import Allowed
from service.core.change import Change
from service.core.lifecycle import AlertWritten
from service.core.rulebook import Problem as RulebookProblem
from service.core.rulebook import Rulebook
from service.metrics import Metrics
from service.ports import Clock
from service.postgres import queries
from service.postgres.accounts import Account, Role
from service.settings import Settings
from service.vault import Vault

DATABASE_PATIENCE_S: Final = 5.0
"""How long a request waits for a connection before it says that there is none."""


class AlertStore(Protocol):
    """What the API may do to an alert: what a person did."""

    async def apply(
        self, connection: asyncpg.Connection, changes: Sequence[Change], now: datetime
    ) -> list[AlertWritten]:
        """Begin or end a drill."""

    async def acknowledge(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> Any:
        """Stop repeats and escalation; the alert stays."""

    async def reset(self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime) -> Any:
        """Resolve a latched alert."""

    async def shelve(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, reason: str, now: datetime, *, until: datetime
    ) -> Any:
        """Tell nobody of it until a time."""

    async def unshelve(
        self, connection: asyncpg.Connection, alert_id: UUID, actor: str, note: str, now: datetime
    ) -> Any:
        """End that before its time."""


@dataclass(frozen=True, slots=True)
class Context:
    pool: asyncpg.Pool
    settings: Settings
    metrics: Metrics
    clock: Clock
    alert_store: AlertStore
    rulebook: Rulebook
    rulebook_problems: tuple[RulebookProblem, ...]
    """What is wrong with the file as it is now; then the rulebook before it is in force."""
    time_zones: frozenset[str]
    vault: Vault
    allowed: Allowed
    throttle: Throttle

    def database(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection, lent. Raises TimeoutError where none is free in time."""
        lent: AbstractAsyncContextManager[asyncpg.Connection] = self.pool.acquire(timeout=DATABASE_PATIENCE_S)
        return lent


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]


async def _connection(context: Ctx) -> AsyncIterator[asyncpg.Connection]:
    async with context.database() as connection:
        yield connection


Database = Annotated[asyncpg.Connection, Depends(_connection)]


async def key_of(connection: asyncpg.Connection, pump_id: str) -> int:
    """The pump's row number. Raises Problem (404)."""
    key = await queries.key_of(connection, pump_id)
    if key is None:
        raise not_found(f"pump {pump_id}")
    return key


async def _account(request: Request) -> Account:
    """Whom the gate let in."""
    account: Account = request.state.account
    return account


Viewer = Annotated[Account, Depends(_account)]


async def _clinician(account: Viewer) -> Account:
    return at_least(Role.CLINICIAN, account)


async def _administrator(account: Viewer) -> Account:
    return at_least(Role.ADMINISTRATOR, account)


def at_least(role: Role, account: Account) -> Account:
    """The account, if its role may do what `role` may. Raises Problem (403)."""
    if account.role.rank < role.rank:
        raise Problem(HTTPStatus.FORBIDDEN, f"this needs the role {role}, and {account.name} is {account.role}")
    return account


Clinician = Annotated[Account, Depends(_clinician)]
Administrator = Annotated[Account, Depends(_administrator)]

WORD: Final = r"^[A-Za-z0-9_-]{1,64}$"
TEXT: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
"""What a person writes: no control characters but tabs and line ends."""
PumpId = Annotated[str, Path(pattern=WORD, description="As in the topic.", examples=["p000017"])]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")]
Instant = Annotated[AwareDatetime, Query(ge=FIRST_INSTANT, lt=LAST_INSTANT, examples=["2026-11-22T20:00:00Z"])]
