"""How does somebody without an account acknowledge an alert? GET says what would happen; POST does it, once.

The link is the secret, so there is no session that a stranger's page could ride on; a scanner that follows every link
in a message only ever looks.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, NamedTuple

import asyncpg
from fastapi import APIRouter, Path, Request, Response

from service.api.context import Context, Ctx, Database
from service.api.link_page import HEADERS, page
from service.core.alert import AlertState, AlreadyAcknowledgedError, IllegalTransitionError
from service.core.link import Link, Refusal, read_token
from service.core.sentences import clock_time
from service.postgres import alert_queries, links
from service.postgres.accounts import audit

router = APIRouter(prefix="/a", include_in_schema=False)

MOST_A_MINUTE: Final = 30
_CLIENTS_KEPT: Final = 10_000
Token = Annotated[str, Path(max_length=200)]


class _Usable(NamedTuple):
    link: Link
    endpoint: str
    alert: asyncpg.Record


class _Refused(NamedTuple):
    status: HTTPStatus
    title: str
    text: str


class Rate:
    """At most so many requests of one client in a minute."""

    def __init__(self, most: int = MOST_A_MINUTE) -> None:
        self._most = most
        self._seen: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def allows(self, client: str, now: datetime) -> bool:
        since, count = self._seen.pop(client, (now, 0))
        if now - since >= timedelta(minutes=1):
            since, count = now, 0
        self._seen[client] = since, count + 1
        if len(self._seen) > _CLIENTS_KEPT:
            self._seen.popitem(last=False)
        return count < self._most


@router.get("/{token}")
async def show(context: Ctx, connection: Database, request: Request, token: Token) -> Response:
    """Say what the link would do; changes nothing."""
    found = await _look(context, connection, request, token)
    if isinstance(found, _Refused):
        return _answer(found.status, found.title, found.text)
    alert, now = found.alert, context.clock()
    if alert["acknowledged_at"] is not None:
        return _answer(HTTPStatus.OK, "Already acknowledged", _by_whom(alert, now))
    return _answer(
        HTTPStatus.OK,
        "Acknowledge this alert?",
        f"{_of(alert)}, raised at {clock_time(alert['raised_at'], now)}.",
        f"If you press the button, everybody who was told of it learns that it is being seen to, and it is not "
        f"repeated or passed on. It will be recorded that {found.endpoint} has acknowledged it. The alert stays until "
        f"what is wrong is over.",
        button="Acknowledge",
    )


@router.post("/{token}")
async def acknowledge(context: Ctx, connection: Database, request: Request, token: Token) -> Response:
    """Acknowledge the alert, in the name of the endpoint that was sent the link."""
    async with connection.transaction():
        found = await _look(context, connection, request, token)
        if isinstance(found, _Refused):
            return _answer(found.status, found.title, found.text)
        link, now, actor = found.link, context.clock(), f"link:{found.endpoint}"
        if not await links.use_link(connection, link.alert_id, link.endpoint, link.number, now):
            return _answer(HTTPStatus.GONE, "This link was used already", "A link works once.")
        try:
            async with connection.transaction():
                await context.alert_store.acknowledge(connection, link.alert_id, actor, "", now)
        except AlreadyAcknowledgedError as error:
            when = clock_time(error.at, now)
            return _answer(HTTPStatus.OK, "Already acknowledged", f"{error.by} acknowledged it at {when}.")
        except IllegalTransitionError:
            return _answer(HTTPStatus.OK, "This alert is over", f"{_of(found.alert)} is {found.alert['state']}.")
        await audit(connection, actor, "alert_acknowledged", str(link.alert_id), {"note": ""})
    return _answer(
        HTTPStatus.OK,
        "Acknowledged",
        f"{_of(found.alert)}: it is recorded that {found.endpoint} has acknowledged it, at {clock_time(now, now)}.",
        "Please see to the pump. You can close this page.",
    )


async def _look(context: Context, connection: asyncpg.Connection, request: Request, token: str) -> _Usable | _Refused:
    now = context.clock()
    rate: Rate = request.app.state.link_rate
    if not rate.allows(context.throttle.address_of(request), now):
        return _Refused(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests", "Try again in a minute.")
    link = read_token(context.vault.link_keys, token, now)
    if isinstance(link, Refusal):
        return _EXPIRED if link is Refusal.EXPIRED else _UNKNOWN
    return await _judge(connection, link, now)


async def _judge(connection: asyncpg.Connection, link: Link, now: datetime) -> _Usable | _Refused:
    endpoint = await links.endpoint_of_link(connection, link.alert_id, link.endpoint, link.number)
    alert = await alert_queries.alert(connection, link.alert_id)
    if endpoint is None or alert is None:
        return _UNKNOWN
    if used_at := await links.link_used_at(connection, link.alert_id, link.endpoint, link.number):
        text = f"It was used at {clock_time(used_at, now)}. A link works once."
        return _Refused(HTTPStatus.GONE, "This link was used already", text)
    if alert["state"] == AlertState.RESOLVED:
        return _Refused(HTTPStatus.OK, "This alert is over", f"{_of(alert)} is resolved: there is nothing to answer.")
    return _Usable(link, endpoint, alert)


_EXPIRED: Final = _Refused(
    HTTPStatus.GONE, "This link is too old", "A link works for a day. Open the alert to answer it."
)
_UNKNOWN: Final = _Refused(
    HTTPStatus.NOT_FOUND,
    "This is not a link of ours",
    "It may have been cut off when it was copied, or the endpoint that it was sent to is not told of alerts any more.",
)


def _of(alert: asyncpg.Record) -> str:
    simulated = "Simulated: " if alert["simulated"] else ""
    what = str(alert["condition"]).replace("_", " ")
    where = [f"pump {alert['pump_id']}" if alert["pump_id"] else "", alert["site"] or ""]
    return f"{simulated}{what}, {', '.join(filter(None, where))} ({alert['priority']} priority)"


def _by_whom(alert: asyncpg.Record, now: datetime) -> str:
    return f"{_of(alert)}: {alert['acknowledged_by']} acknowledged it at {clock_time(alert['acknowledged_at'], now)}."


def _answer(status: HTTPStatus, title: str, *paragraphs: str, button: str = "") -> Response:
    content = page(title, paragraphs, button)
    retry = {"Retry-After": "60"} if status is HTTPStatus.TOO_MANY_REQUESTS else {}
    return Response(content, status, HEADERS | retry, media_type="text/html; charset=utf-8")
