"""Who is told, where and how? The webhook endpoints; a secret is shown once, when it is made."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
import msgspec
from fastapi import APIRouter, Body, Header, Response

from service.api.context import Administrator, Context, Ctx, Database
from service.api.endpoint_models import (
    Deleted,
    Endpoint,
    EndpointList,
    EndpointSettings,
    Fired,
    MadeEndpoint,
    NewEndpoint,
    NewSecret,
    Preview,
    Previewed,
    Rotation,
)
from service.api.problems import FieldError, Problem, answers, not_found, wrong_fields
from service.core.endpoint import endpoint_problems, settings_problems
from service.core.formats import render
from service.core.template import SAMPLE, SAMPLE_KEY
from service.postgres import endpoints as store
from service.vault import NO_KEY, Vault

router = APIRouter(prefix="/endpoints", tags=["endpoints"])

_ONE: Final = answers(HTTPStatus.NOT_FOUND)
_CHANGE: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
IfMatch = Annotated[str | None, Header(description='The version that is to be replaced: `"3"`.')]


@router.get("")
async def list_endpoints(connection: Database, _: Administrator) -> EndpointList:
    """All of them, without their secrets. An address can hold a key of its own, so administrators only."""
    return EndpointList(items=[Endpoint.of(row) for row in await store.endpoints(connection)])


@router.post("", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT))
async def add_endpoint(
    context: Ctx, connection: Database, account: Administrator, response: Response, given: NewEndpoint
) -> MadeEndpoint:
    """Add an endpoint. The answer holds its signing secret, this once."""
    how = given.model_dump(exclude_none=True, exclude={"name", "url", "accepts_simulated"})
    problems = endpoint_problems(given.name, given.url, context.allowed)
    _refuse(problems + settings_problems(how, has_routing_key="routing_key" in how))
    with_key = _with_key(context)
    try:
        made = await store.add_endpoint(
            connection, with_key, given.name, given.url, account.name, accepts_simulated=given.accepts_simulated, **how
        )
    except store.EndpointNameTakenError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    response.headers["Cache-Control"] = "no-store"
    return MadeEndpoint(id=made.id, name=given.name, secret=made.secret)


@router.post("/preview")
async def preview(_: Administrator, given: Preview) -> Previewed:
    """Show what an endpoint would be sent of a made-up alert; a template that does not render is refused."""
    _refuse(settings_problems(given.model_dump(exclude={"type"}, exclude_none=True), has_routing_key=True))
    own = {**SAMPLE, "type": given.type}
    return Previewed(body=msgspec.json.decode(render("msg_1", own, given.format, given.template, SAMPLE_KEY)))


@router.get("/{endpoint_id}", responses=_ONE)
async def get_endpoint(connection: Database, _: Administrator, response: Response, endpoint_id: UUID) -> Endpoint:
    """One, with how it is doing."""
    return await _shown(connection, response, endpoint_id)


@router.patch("/{endpoint_id}", responses=_CHANGE)
async def change_endpoint(
    *,
    context: Ctx,
    connection: Database,
    account: Administrator,
    response: Response,
    endpoint_id: UUID,
    given: EndpointSettings,
    if_match: IfMatch = None,
) -> Endpoint:
    """Set what is given. With `If-Match` it is refused (412) unless the stored version is still that one.

    A `null` takes the template, the routing key or the time to answer away.
    """
    changes = given.model_dump(exclude_unset=True)
    _refuse([(name, "cannot be taken away") for name, value in changes.items() if value is None and name in _NEEDED])
    async with connection.transaction():
        stored = await _locked(connection, endpoint_id, if_match)
        after = {**stored, **changes}
        known = {name: after[name] for name in store.SETTABLE if name not in {"name", "url", "routing_key"}}
        known |= {"routing_key": changes.get("routing_key")}
        problems = endpoint_problems(after["name"], after["url"], context.allowed)
        _refuse(problems + settings_problems(known, has_routing_key=after["routing_key"] is not None))
        if changes:
            vault = _with_key(context) if changes.get("routing_key") else context.vault
            try:
                await store.update_endpoint(connection, vault, endpoint_id, changes, account.name)
            except store.EndpointNameTakenError as error:
                raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    return await _shown(connection, response, endpoint_id)


_NEEDED: Final = frozenset(store.SETTABLE) - {"template", "routing_key", "answer_within_s"}


@router.delete("/{endpoint_id}", responses=_CHANGE)
async def delete_endpoint(
    connection: Database, account: Administrator, endpoint_id: UUID, if_match: IfMatch = None
) -> Deleted:
    """Remove it, with its address and its keys; what it was told stays. Refused (409) while anything is pending."""
    async with connection.transaction():
        await _locked(connection, endpoint_id, if_match)
        try:
            await store.delete_endpoint(connection, endpoint_id, account.name)
        except store.PendingError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    return Deleted(id=endpoint_id)


@router.post("/{endpoint_id}/test", status_code=HTTPStatus.ACCEPTED, responses=_CHANGE)
async def fire_test(context: Ctx, connection: Database, account: Administrator, endpoint_id: UUID) -> Fired:
    """Send it a notification that says that it is a test, on the way that every other one goes."""
    async with connection.transaction():
        stored = await _locked(connection, endpoint_id)
        if not stored["enabled"]:
            raise Problem(HTTPStatus.CONFLICT, "it is disabled: enable it first")
        fired = await store.fire_test(connection, endpoint_id, stored["name"], account.name, context.clock())
    return Fired(delivery_id=fired)


@router.post("/{endpoint_id}/rotate", responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED))
async def rotate_secret(
    *,
    context: Ctx,
    connection: Database,
    account: Administrator,
    response: Response,
    endpoint_id: UUID,
    given: Annotated[Rotation, Body(default_factory=Rotation)],
    if_match: IfMatch = None,
) -> NewSecret:
    """Make a new signing secret. The answer holds it, this once; for a day the old one signs beside it."""
    async with connection.transaction():
        await _locked(connection, endpoint_id, if_match)
        both_for = timedelta(seconds=given.both_for_s)
        secret = await store.rotate_secret(connection, _with_key(context), endpoint_id, account.name, both_for)
    response.headers["Cache-Control"] = "no-store"
    shown = await _shown(connection, Response(), endpoint_id)
    return NewSecret(secret=secret, former_secrets_until=shown.former_secrets_until)


@router.post("/{endpoint_id}/disable", responses=_CHANGE)
async def disable_endpoint(
    connection: Database, account: Administrator, response: Response, endpoint_id: UUID, if_match: IfMatch = None
) -> Endpoint:
    """Send nothing there any more; what waits for it waits on."""
    return await _switched(connection, account.name, response, endpoint_id, if_match, enabled=False)


@router.post("/{endpoint_id}/enable", responses=_CHANGE)
async def enable_endpoint(
    connection: Database, account: Administrator, response: Response, endpoint_id: UUID, if_match: IfMatch = None
) -> Endpoint:
    """Send there again, what has been waiting first."""
    return await _switched(connection, account.name, response, endpoint_id, if_match, enabled=True)


async def _switched(
    connection: asyncpg.Connection,
    actor: str,
    response: Response,
    endpoint_id: UUID,
    if_match: str | None,
    *,
    enabled: bool,
) -> Endpoint:
    async with connection.transaction():
        await _locked(connection, endpoint_id, if_match)
        if not await store.enable_endpoint(connection, endpoint_id, actor, enabled=enabled):
            raise Problem(HTTPStatus.CONFLICT, "it is enabled" if enabled else "it is disabled")
    return await _shown(connection, response, endpoint_id)


async def _shown(connection: asyncpg.Connection, response: Response, endpoint_id: UUID) -> Endpoint:
    rows = await store.endpoints(connection, endpoint_id)
    if not rows:
        raise not_found(f"endpoint {endpoint_id}")
    response.headers["ETag"] = f'"{rows[0]["version"]}"'
    return Endpoint.of(rows[0])


async def _locked(connection: asyncpg.Connection, endpoint_id: UUID, if_match: str | None = None) -> Mapping[str, Any]:
    stored = await store.lock_endpoint(connection, endpoint_id)
    if stored is None:
        raise not_found(f"endpoint {endpoint_id}")
    if if_match not in (None, "*") and str(stored["version"]) not in _versions(if_match):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            f"the stored version is {stored['version']}, not {if_match}: somebody else has changed it; read it again",
        )
    return dict(stored)


def _versions(if_match: str | None) -> set[str]:
    return {part.strip().removeprefix("W/").strip('"') for part in (if_match or "").split(",")}


def _refuse(problems: Sequence[tuple[str, str]]) -> None:
    if problems:
        raise wrong_fields([FieldError(place="body", field=field, detail=what) for field, what in problems])


def _with_key(context: Context) -> Vault:
    """The vault, if it can keep a secret."""
    if not context.vault.has_key:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, NO_KEY)
    return context.vault
