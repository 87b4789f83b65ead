"""How is the app served? By uvicorn on a socket of ours, until the task is cancelled."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from service.api.live import Live
from service.settings import Settings, SettingsError

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


def tls_files(settings: Settings) -> tuple[Path, Path] | None:
    """The certificate and the key, looked at before anything is served. Raises SettingsError."""
    if settings.api_cert_file is None or settings.api_key_file is None:
        return None
    files = settings.api_cert_file, settings.api_key_file
    if files[1].stat().st_mode & 0o007:
        raise SettingsError(f"PUMPWATCH_API_KEY_FILE: {files[1]}: everybody may read it; chmod 600")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"PUMPWATCH_API_CERT_FILE, PUMPWATCH_API_KEY_FILE: no certificate and its key in PEM ({error})"
        ) from None
    return files


async def serve(
    app: FastAPI, listening: socket.socket, *, whole: ASGIApp | None = None, tls: tuple[Path, Path] | None = None
) -> None:
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
        ssl_certfile=None if tls is None else tls[0],
        ssl_keyfile=None if tls is None else tls[1],
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
