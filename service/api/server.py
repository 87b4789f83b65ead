"""How is the app served? By uvicorn on a socket of ours, until the task is cancelled."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from service.api.live import Live

ENDS_WITHIN_S: Final = 5


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs this process."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Take the address before anything else is started. Raises OSError if it is in use or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)


async def serve(app: FastAPI, listening: socket.socket, *, whole: ASGIApp | None = None) -> None:
    """Answer until cancelled; requests in flight then have a few seconds to finish.

    `whole`: what is served, where that is the API and more beside it; that may open websockets.
    """
    config = uvicorn.Config(
        whole or app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on" if whole else "off",
        ws="websockets-sansio" if whole else "none",
        proxy_headers=False,  # who asks is who is connected: /metrics depends on it
        server_header=False,
        timeout_graceful_shutdown=ENDS_WITHIN_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        live: Live | None = getattr(app.state, "live", None)
        if live is not None:
            await live.close()
        server.should_exit = True
        await serving
        raise
