"""What does a page of the board stand on? The API's context, the stream, and whoever looks at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus

import asyncpg
from nicegui import app, ui

from service.api.context import Context
from service.api.cookies import COOKIE
from service.api.live import Live
from service.api.passwords import Passwords
from service.api.problems import Problem
from service.postgres.accounts import Account
from service.postgres.people import account_in_session


def put(context_of: "ContextOf", live: Live) -> None:
    """Before the first page is asked for. NiceGUI has one app a process, so there is one desk."""
    app.state.context_of, app.state.live = context_of, live


class ContextOf:
    """The API's context as it is now: it changes with the rulebook."""

    def __init__(self, api: object) -> None:
        self._api = api

    def __call__(self) -> Context:
        context: Context = self._api.state.context  # type: ignore[attr-defined]
        return context

    @property
    def passwords(self) -> Passwords:
        found: Passwords = self._api.state.passwords  # type: ignore[attr-defined]
        return found


def context() -> Context:
    of: ContextOf = app.state.context_of
    return of()


def passwords() -> Passwords:
    of: ContextOf = app.state.context_of
    return of.passwords


def live() -> Live:
    found: Live = app.state.live
    return found


def now() -> datetime:
    return context().clock()


@asynccontextmanager
async def database() -> AsyncIterator[asyncpg.Connection]:
    async with context().database() as connection:
        yield connection


def visitor() -> Account:
    """Whom the doorkeeper let in to this page."""
    request = ui.context.client.request
    account: Account = request.state.account
    return account


def session() -> str:
    """By which the visitor came in."""
    return ui.context.client.request.cookies.get(COOKIE, "")


async def still_here() -> Account | None:
    """The visitor as their account is by now; None once their session is over."""
    async with database() as connection:
        found = await account_in_session(connection, session(), now())
    return None if found is None else found[0]


async def present() -> Account:
    """The same. Raises Problem (401) once it is over."""
    account = await still_here()
    if account is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "your session is over: log in again")
    return account
