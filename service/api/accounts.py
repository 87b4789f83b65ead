"""Who may come in? Accounts of people and tokens of programs, kept by administrators."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import asyncpg
from fastapi import APIRouter, Header, Path, Response
from pydantic import AwareDatetime, BaseModel, Field

from service.api.context import WORD, Administrator, Ctx, Database
from service.api.passwords import MOST_CHARACTERS, Hashing, Passwords, password_problem
from service.api.problems import Problem, answers, not_found, wrong_field
from service.core.access import Scope
from service.postgres import people
from service.postgres.accounts import NameTakenError, Role, create_token, revoke_token, tokens

router = APIRouter(tags=["accounts"])

Name = Annotated[str, Field(pattern=r"^[\w][\w .@'-]{0,99}$", examples=["dr-weber"])]
Sites = Annotated[
    list[Annotated[str, Field(pattern=WORD)]] | None,
    Field(max_length=200, description="Whose pumps they see; null: all, and pumps of no site.", examples=[["north"]]),
]
Named = Annotated[str, Path(max_length=100, examples=["dr-weber"])]
IfMatch = Annotated[str | None, Header(description='The version that is to be replaced: `"3"`.')]
_ONE: Final = answers(HTTPStatus.NOT_FOUND)


class NewAccount(BaseModel):
    name: Name
    role: Role
    sites: Sites = None
    password: str | None = Field(
        None, max_length=MOST_CHARACTERS, description="Null: they log in by links until they set one."
    )


class SetPassword(BaseModel):
    password: str = Field(max_length=MOST_CHARACTERS, examples=["four words of one's own"])


class AccountSettings(BaseModel):
    role: Role
    sites: Sites = None
    disabled: bool = False


class Person(BaseModel):
    name: str
    role: Role
    sites: list[str] | None
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None
    version: int

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Person":
        return cls(**{name: row[name] for name in cls.model_fields})


class PersonList(BaseModel):
    items: list[Person]


class LoginLink(BaseModel):
    path: str = Field(description="Below the service's address; logs in once.", examples=["/login/Zk3…"])
    ends_at: datetime


class NewToken(BaseModel):
    name: Name
    role: Role
    scopes: list[Scope] | None = Field(None, description="Null: all that the role may do.", examples=[["read"]])
    sites: Sites = None
    expires_at: AwareDatetime | None = Field(None, description="UTC; null: until it is revoked.")


class MadeToken(BaseModel):
    name: str
    token: str = Field(description="Shown this once.", examples=["pumpwatch_…"])


class Token(BaseModel):
    name: str
    role: Role
    scopes: list[Scope] | None
    sites: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenList(BaseModel):
    items: list[Token]


@router.get("/accounts")
async def list_accounts(connection: Database, _: Administrator) -> PersonList:
    """All of them, by name."""
    return PersonList(items=[Person.of(row) for row in await people.accounts(connection)])


@router.post("/accounts", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT))
async def add_account(
    connection: Database, passwords: Hashing, response: Response, account: Administrator, given: NewAccount
) -> Person:
    """Make an account. Names are never used again: history and audit call people by them."""
    hashed = None
    if given.password is not None:
        hashed = await _hashed(passwords, given.password, given.name)
    try:
        await people.add(connection, given.name, given.role, account.name, sites=given.sites, password=hashed)
    except NameTakenError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    return await _person(connection, given.name, response)


@router.get("/accounts/{name}", responses=_ONE)
async def get_account(connection: Database, response: Response, _: Administrator, name: Named) -> Person:
    """One person. The ETag is the version."""
    return await _person(connection, name, response)


@router.put(
    "/accounts/{name}",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED),
)
async def change_account(
    *,
    context: Ctx,
    connection: Database,
    response: Response,
    account: Administrator,
    name: Named,
    given: AccountSettings,
    if_match: IfMatch = None,
) -> Person:
    """Set what an account may do, of the version that `If-Match` names. It has to log in again."""
    version = (if_match or "").strip('"')
    if not version.isdecimal():
        raise Problem(HTTPStatus.PRECONDITION_REQUIRED, 'send `If-Match` with the version that you saw, as `"3"`')
    if name.lower() == account.name.lower() and (given.disabled or given.role is not Role.ADMINISTRATOR):
        raise wrong_field("body", "role", "nobody takes away their own role: another administrator may")
    try:
        found = await people.change(
            connection,
            name,
            given.role,
            account.name,
            context.clock(),
            sites=given.sites,
            disabled=given.disabled,
            version=int(version),
        )
    except people.VersionError as error:
        raise Problem(HTTPStatus.PRECONDITION_FAILED, str(error)) from None
    if not found:
        raise not_found(f"account {name}")
    return await _person(connection, name, response)


@router.post("/accounts/{name}/link", status_code=HTTPStatus.CREATED, responses=_ONE)
async def make_link(context: Ctx, connection: Database, account: Administrator, name: Named) -> LoginLink:
    """Make a link by which its owner logs in once, within a quarter of an hour."""
    now = context.clock()
    link = await people.make_link(connection, name, account.name, now)
    if link is None:
        raise not_found(f"account {name} that is not disabled")
    return LoginLink(path=f"/login/{link}", ends_at=now + people.LINK_LASTS)


@router.put("/accounts/{name}/password", status_code=HTTPStatus.NO_CONTENT, responses=_ONE)
async def set_password(
    connection: Database, passwords: Hashing, account: Administrator, name: Named, given: SetPassword
) -> None:
    """Set somebody's password. All their sessions end."""
    hashed = await _hashed(passwords, given.password, name)
    if not await people.set_password(connection, name, hashed, account.name):
        raise not_found(f"account {name}")


@router.get("/tokens")
async def list_tokens(connection: Database, _: Administrator) -> TokenList:
    """Every token ever made, without what it was."""
    return TokenList(
        items=[Token(**{name: row[name] for name in Token.model_fields}) for row in await tokens(connection)]
    )


@router.post("/tokens", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT))
async def add_token(context: Ctx, connection: Database, account: Administrator, given: NewToken) -> MadeToken:
    """Make a token for a program. The answer holds it, this once."""
    if given.expires_at is not None and given.expires_at <= context.clock():
        raise wrong_field("body", "expires_at", "is over already")
    if given.scopes == []:
        raise wrong_field("body", "scopes", "a token for nothing is none: name one, or leave it out")
    narrowed: dict[str, Any] = {"scopes": given.scopes, "sites": given.sites, "expires_at": given.expires_at}
    try:
        text = await create_token(connection, given.name, given.role, account.name, **narrowed)
    except NameTakenError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    return MadeToken(name=given.name, token=text)


@router.delete("/tokens/{name}", status_code=HTTPStatus.NO_CONTENT, responses=_ONE)
async def end_token(connection: Database, account: Administrator, name: Named) -> None:
    """Revoke the token in use of this name, from the next request on."""
    if not await revoke_token(connection, name, account.name):
        raise not_found(f"token {name} in use")


async def _hashed(passwords: Passwords, password: str, name: str) -> str:
    if problem := password_problem(password, name):
        raise wrong_field("body", "password", problem)
    return await passwords.hashed(password)


async def _person(connection: asyncpg.Connection, name: str, response: Response) -> Person:
    row = await people.account_named(connection, name)
    if row is None:
        raise not_found(f"account {name}")
    response.headers["ETag"] = f'"{row["version"]}"'
    return Person.of(row)
