"""What came of each request? Counts it and times it."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics


class Observe:
    """Around what answers also when something failed: `Refusals`."""

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
        finally:
            self._metrics.requests.labels(scope["method"], route_of(scope), str(status)).inc()
            self._metrics.request_seconds.labels(route_of(scope)).observe(time.perf_counter() - began)


def route_of(scope: Scope) -> str:
    """The route's pattern, never the path: that would be a series for each pump, and for each guess of a stranger."""
    route = scope.get("route")
    if route is None:
        return "none"
    # An included router's pattern lacks the prefix, which has no parameters.
    pattern = route.path.split("/")[1:]
    prefix = scope["path"].split("/")[: -len(pattern)]
    return "/".join([*prefix, *pattern])
