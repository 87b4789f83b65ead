"""How does a person come in, and go? By password or by a link that works once; a session is a cookie."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from service.api.context import Context, Ctx, Database, Viewer
from service.api.cookies import COOKIE, csrf_token, forget, remember
from service.api.link_page import HEADERS, page
from service.api.passwords import MOST_CHARACTERS, Hashing, Passwords, password_problem
from service.api.problems import Problem, answers, wrong_field
from service.postgres import people
from service.postgres.accounts import Role

router = APIRouter(prefix="/session", tags=["accounts"])
links = APIRouter(prefix="/login", include_in_schema=False)

_WRONG: Final = "this name and this password do not belong together"
_OVER: Final = "this session is over: log in again"
_NOT_YOURS: Final = "is not your password"
_SLOWED_DOWN: Final = answers(HTTPStatus.TOO_MANY_REQUESTS)


async def _session(request: Request) -> str:
    """By which the gate let somebody in; empty: by a token."""
    return "" if "authorization" in request.headers else request.cookies.get(COOKIE, "")


async def _address(context: Ctx, request: Request) -> str:
    return context.throttle.address_of(request)


Session = Annotated[str, Depends(_session)]
Address = Annotated[str, Depends(_address)]


class Login(BaseModel):
    name: str = Field(min_length=1, max_length=100, examples=["dr-weber"])
    password: str = Field(min_length=1, max_length=MOST_CHARACTERS, examples=["four words of one's own"])


class NewPassword(BaseModel):
    old: str | None = Field(
        None,
        max_length=MOST_CHARACTERS,
        description="Null: whoever has none yet, and came in by a link.",
        examples=["four words of one's own"],
    )
    new: str = Field(max_length=MOST_CHARACTERS, examples=["four other words of one's own"])


class WhoAsks(BaseModel):
    name: str = Field(description="What history and audit call them.", examples=["dr-weber"])
    role: Role
    sites: list[str] | None = Field(description="Whose pumps they see; null: all.", examples=[["north"]])
    scopes: list[str] | None = Field(description="What a token was narrowed to; null: all that the role may do.")
    csrf_token: str | None = Field(description="To send as `X-CSRF-Token` with each write; null for tokens.")
    ends_at: datetime | None = Field(description="When the session ends at the latest, UTC; null for tokens.")


@router.post("", responses=_SLOWED_DOWN)
async def log_in(*, context: Ctx, passwords: Hashing, response: Response, address: Address, given: Login) -> WhoAsks:
    """Log in with a password. The answer sets the cookie of the session. Whoever guesses waits longer and longer."""
    found = await _proven(context, passwords, given.name, address, given.password)
    if found is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, _WRONG)
    async with context.database() as connection:
        session = await people.begin_session(connection, found.id, found.name, "password", context.clock())
        remember(response, context.settings, session, int(people.LASTS.total_seconds()))
        return await _who(context, connection, session)


@router.get("")
async def who_asks(context: Ctx, connection: Database, session: Session, account: Viewer) -> WhoAsks:
    """Say who asks, and what a page has to send with each write."""
    if session:
        return await _who(context, connection, session)
    return WhoAsks(
        name=account.name,
        role=account.role,
        sites=None if account.sites is None else sorted(account.sites),
        scopes=None if account.scopes is None else sorted(account.scopes),
        csrf_token=None,
        ends_at=None,
    )


@router.delete("", status_code=HTTPStatus.NO_CONTENT)
async def log_out(connection: Database, request: Request, response: Response, account: Viewer) -> None:
    """End this session."""
    await people.end_session(connection, request.cookies.get(COOKIE, ""), account.name)
    forget(response)


@router.put("/password", status_code=HTTPStatus.NO_CONTENT, responses=_SLOWED_DOWN)
async def change_password(
    *, context: Ctx, passwords: Hashing, session: Session, address: Address, account: Viewer, given: NewPassword
) -> None:
    """Set a password of one's own; every other session of the account ends. Whoever guesses the old one waits."""
    if not session:
        raise Problem(HTTPStatus.FORBIDDEN, "a token has no password: log in")
    async with context.database() as connection:
        found = await people.credentials(connection, account.name)
    if found is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, _OVER)
    if found.password is not None:
        found = await _proven(context, passwords, found.name, address, given.old or "")
        if found is None:
            raise wrong_field("body", "old", _NOT_YOURS)
    if problem := password_problem(given.new, account.name):
        raise wrong_field("body", "new", problem)
    if given.new == given.old:
        raise wrong_field("body", "new", "is the one that you have")
    hashed = await passwords.hashed(given.new)
    async with context.database() as connection:
        if not await people.change_password(connection, found, hashed, session):
            raise wrong_field("body", "old", _NOT_YOURS)


async def _proven(
    context: Context, passwords: Passwords, name: str, address: str, password: str
) -> people.Credentials | None:
    """Whoever has this name and this password; None: nobody. Raises Problem (429).

    No connection is held while a password is compared: that is slow on purpose, and others need one.
    """
    now = context.clock()
    async with context.database() as connection:
        await _not_too_soon(connection, name, address, now)
        await people.login_tried(connection, name, address, now)
        found = await people.credentials(connection, name)
    if not await passwords.fits(found and found.password, password) or found is None:
        return None
    async with context.database() as connection:
        await people.login_succeeded(connection, name, address, now)
    return found


@links.get("/{link}")
async def use_link(context: Ctx, connection: Database, link: Annotated[str, Path(max_length=100)]) -> Response:
    """Log in by a link, and go to the board."""
    now = context.clock()
    async with connection.transaction():  # a link that let nobody in is not used up
        found = await people.use_link(connection, link, now)
        session = found and await people.begin_session(connection, *found, "link", now)
    if not session:
        text = "It was used, or it is too old: a link works once, within a quarter of an hour. Ask for another one."
        return Response(page("This link does not work", [text]), HTTPStatus.GONE, HEADERS, "text/html; charset=utf-8")
    response = Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": "/", "Cache-Control": "no-store"})
    remember(response, context.settings, session, int(people.LASTS.total_seconds()))
    return response


async def _who(context: Context, connection: Database, session: str) -> WhoAsks:
    found = await people.account_in_session(connection, session, context.clock())
    if found is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, _OVER)
    account, ends_at = found
    sites = None if account.sites is None else sorted(account.sites)
    return WhoAsks(
        name=account.name, role=account.role, sites=sites, scopes=None, csrf_token=csrf_token(session), ends_at=ends_at
    )


async def _not_too_soon(connection: asyncpg.Connection, name: str, address: str, now: datetime) -> None:
    """Raises Problem (429) while nobody may try this name, or from this address."""
    wait_s = await people.login_wait_s(connection, name, address, now)
    if wait_s:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"too many wrong guesses: try again in {wait_s:.0f} s",
            headers={"Retry-After": f"{wait_s:.0f}"},
        )
