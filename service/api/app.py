"""What is the API made of? The routers, and around them, from the outside in: headers, observe, gate, bodies, once."""

import time
import zoneinfo
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import asyncpg
from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from service.api import (
    accounts,
    alerts,
    audits,
    boots,
    burden,
    canary,
    care,
    deliveries,
    drills,
    endpoints,
    erasure,
    escalation,
    events,
    export,
    fleet,
    health,
    imports,
    ledger,
    links,
    out_of_service,
    problems,
    pumps,
    quarantine,
    readings,
    refusals,
    rules,
    series,
    sessions,
    sites,
    stream,
)
from service.api.bodies import Bodies
from service.api.context import AlertStore, Context
from service.api.cookies import COOKIE
from service.api.gate import Gate
from service.api.headers import Headers
from service.api.live import Live
from service.api.observe import Observe
from service.api.once import Once
from service.api.openapi import describe
from service.api.passwords import Passwords
from service.api.throttle import ElapsedS, Throttle
from service.core.address import Allowed
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook
from service.core.rulebook import Problem as RulebookProblem
from service.metrics import Metrics
from service.ports import Clock
from service.settings import Settings
from service.vault import vault_of

_DESCRIPTION = """Pumps, what they said, what is wrong with them and who has answered. Simulation, not for clinical use.

Lists come in pages: ask again with `next_cursor` until it is null. Times are UTC. Errors are problem+json (RFC 9457).
Every write is recorded with the name of the token that made it. Whoever asks too much is answered 429, with a time
to come again in `Retry-After`."""

_TOKEN = HTTPBearer(
    description="From `pumpwatch token create`; its role and scopes decide what it may do.", auto_error=False
)
_SESSION = APIKeyCookie(
    name=COOKIE,
    description="From `POST /api/v1/session`; writes need the header X-CSRF-Token as well.",
    auto_error=False,
)


def create_app(
    pool: asyncpg.Pool,
    settings: Settings,
    metrics: Metrics,
    clock: Clock,
    alert_store: AlertStore,
    *,
    rulebook: Rulebook = DEFAULT_RULEBOOK,
    elapsed_s: ElapsedS = time.monotonic,
) -> FastAPI:
    """Make the app. The pool need not have a connection yet: until it has, everything but /live says so."""
    # No pages of documentation: they would load their scripts from a stranger's server.
    app = FastAPI(
        title="pumpwatch",
        version=version("pumpwatch"),
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    context = Context(
        pool=pool,
        settings=settings,
        metrics=metrics,
        clock=clock,
        alert_store=alert_store,
        rulebook=rulebook,
        rulebook_problems=(),
        time_zones=frozenset(zoneinfo.available_timezones()),
        vault=vault_of(settings),
        allowed=Allowed.parse(settings.webhook_allow),
        throttle=Throttle(settings, metrics, elapsed_s),
    )
    app.state.context = context
    app.state.link_rate = links.Rate()
    app.state.figures, app.state.orders = fleet.figures(), pumps.orders()
    app.state.readiness = health.Readiness()
    app.state.passwords = Passwords()
    app.state.live = Live(pool, settings.database_url, metrics)
    app.include_router(health.router)
    app.include_router(links.router)
    app.include_router(canary.router)
    app.include_router(sessions.links)
    # With its prefix here: FastAPI would build all of its routes once more to see that none has an empty path.
    app.include_router(_version_1(app), prefix="/api/v1")
    refusals.install(app)
    app.add_middleware(Once, context=context)
    app.add_middleware(Bodies)
    app.add_middleware(Gate, context=context)
    app.add_middleware(refusals.Refusals)
    app.add_middleware(Observe, metrics=metrics)
    app.add_middleware(Headers)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def judge_by(app: FastAPI, rulebook: Rulebook, problems_of_file: Sequence[RulebookProblem]) -> None:
    """Requests from now on see this rulebook, and what is wrong with the file."""
    context: Context = app.state.context
    app.state.context = replace(context, rulebook=rulebook, rulebook_problems=tuple(problems_of_file))


def _version_1(app: FastAPI) -> APIRouter:
    every = problems.answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    router = APIRouter(dependencies=[Security(_TOKEN), Security(_SESSION)], responses=every)
    for part in (
        pumps,
        readings,
        series,
        export,
        events,
        ledger,
        care,
        out_of_service,
        boots,
        erasure,
        fleet,
        audits,
        sites,
        imports,
        alerts,
        rules,
        endpoints,
        escalation,
        burden,
        deliveries,
        drills,
        quarantine,
        sessions,
        accounts,
        stream,
    ):
        router.include_router(part.router)

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        return app.openapi()

    return router
