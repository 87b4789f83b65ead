"""What came of each request? Counts it, times it, and answers in its place when it ended in an exception."""

import logging
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem_of
from service.logs import tell
from service.metrics import Metrics


class Observe:
    """The outermost layer: the problems of the gate and of bodies become responses here, and so do failures."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            problem = problem_of(error)
            if problem.status is HTTPStatus.INTERNAL_SERVER_ERROR:
                where = {"method": scope["method"], "route": _route(scope)}
                logging.getLogger("pumpwatch").exception("request_failed", extra={"fields": where})
            elif problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
                tell("request_refused", logging.WARNING, route=_route(scope), reason=problem.detail)
            if status:
                raise  # half an answer has gone out: only closing the connection says that it is not whole
            await problem.response()(scope, receive, noted)
        finally:
            self._metrics.requests.labels(scope["method"], _route(scope), str(status)).inc()
            self._metrics.request_seconds.labels(_route(scope)).observe(time.perf_counter() - began)


def _route(scope: Scope) -> str:
    """The route's pattern, never the path: that would be a series for each pump, and for each guess of a stranger."""
    route = scope.get("route")
    if route is None:
        return "none"
    # An included router's pattern lacks the prefix, which has no parameters.
    pattern = route.path.split("/")[1:]
    prefix = scope["path"].split("/")[: -len(pattern)]
    return "/".join([*prefix, *pattern])
