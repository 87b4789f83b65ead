"""Does this process live, is the service watching, and what is counted? The only routes outside /api/v1."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel, Field

from service.api.context import Context, Ctx
from service.api.problems import answers, database_reason
from service.postgres.health import reasons_not_ready

router = APIRouter(tags=["health"])

READY_WITHIN_S: Final = 3.0
"""A probe that waits longer than this is answered: not ready."""


class Live(BaseModel):
    live: bool = True


class Ready(BaseModel):
    ready: bool
    reasons: list[str] = Field(description="Empty when ready.", examples=[["shard 0 is not caught up: not connected"]])


@router.get("/live")
async def live() -> Live:
    """200 as long as this process lives; says nothing of the service."""
    return Live()


class Readiness:
    """Looks for all who ask meanwhile at once: strangers may ask, and must not take the connections of others."""

    def __init__(self) -> None:
        self._look: asyncio.Task[list[str]] | None = None

    async def reasons(self, context: Context) -> list[str]:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(_reasons(context))
        return await asyncio.shield(self._look)


@router.get("/ready", responses={503: {"model": Ready}})
async def ready(context: Ctx, request: Request, response: Response) -> Ready:
    """200 while every pump is watched and alerts go out; else 503 with every reason."""
    readiness: Readiness = request.app.state.readiness
    reasons = await readiness.reasons(context)
    response.headers["Cache-Control"] = "no-store"
    if reasons:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(ready=not reasons, reasons=reasons)


async def _reasons(context: Context) -> list[str]:
    try:
        async with asyncio.timeout(READY_WITHIN_S), context.pool.acquire() as connection:
            return await reasons_not_ready(connection, context.clock())
    except Exception as error:
        if reason := database_reason(error):
            return [reason]
        raise


class _OfAll(MultiProcessCollector):
    """Also of processes with a directory each below the one they share: in containers all have the same number."""

    def collect(self) -> Iterable[Metric]:
        files = map(str, Path(self._path).rglob("*.db"))
        return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call, no-any-return]


def _registry(request: Request) -> CollectorRegistry:
    """Of all processes of this machine where they share a directory, else of this one."""
    context: Context = request.app.state.context
    registry = CollectorRegistry()
    try:
        # Without a directory of ours it looks for PROMETHEUS_MULTIPROC_DIR, and refuses if that is not there either.
        _OfAll(registry, context.settings.metrics_dir)  # type: ignore[no-untyped-call]
    except ValueError:
        return context.metrics.registry
    return registry


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **answers(HTTPStatus.UNAUTHORIZED)},
)
def metrics(registry: Annotated[CollectorRegistry, Depends(_registry)]) -> Response:
    """Prometheus metrics. Without a token from this machine only."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
