"""What is common to the pages of an administrator? Who may see them, the way between them, and how things are done.

Rights count as they are when something is done: a page that was opened before may still stand in a browser.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, TypeVar

import asyncpg
from fastapi import Response
from nicegui import ui

from service.api.context import at_least
from service.api.problems import Problem
from service.postgres.accounts import Account, Role
from service.web import desk, frame

T = TypeVar("T")

HOME: Final = "/admin"
_PARTS: Final = (
    ("Endpoints", "/admin/endpoints"),
    ("People", "/admin/people"),
    ("Tokens", "/admin/tokens"),
    ("On call", "/admin/on-call"),
    ("Registry", "/admin/registry"),
    ("Overrides", "/admin/overrides"),
    ("Quarantine", "/admin/quarantine"),
)


def add() -> None:
    frame.at(HOME)(_home)


async def _home() -> Response:
    return Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": _PARTS[0][1]})


def checked(account: Account) -> Account:
    """Raises Problem (403) for whoever is no administrator of everything."""
    at_least(Role.ADMINISTRATOR, account)
    if account.sites is not None:
        raise Problem(HTTPStatus.FORBIDDEN, f"{account.name} sees some sites alone: this is of all")
    return account


@contextmanager
def page(title: str, here: str = "") -> Iterator[None]:
    """The frame of the board, with the way between these pages."""
    with frame.page(title, HOME):
        ui.add_css("@import url('/static/admin.css');")
        with ui.element("nav").classes("parts").props('aria-label="Administration"'):
            for name, path in _PARTS:
                ui.link(name, path).props('aria-current="page"' if path == here else "")
        yield


async def asked(what: Callable[[asyncpg.Connection, Account], Awaitable[T]]) -> T:
    """Do `what` in the visitor's name, by their rights now. Raises Problem (401, 403)."""
    account = checked(await desk.present())
    async with desk.database() as connection:
        return await what(connection, account)
