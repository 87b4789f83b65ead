"""TLS in front of a PostgreSQL that was built without it: as its own protocol asks for it, then handed on as it is."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

TLS_WANTED = bytes.fromhex("0000000804d2162f")
NO_TLS = (
    b"SFATAL\0C28000\0Mconnections must be encrypted: no encryption\0\0"  # an ErrorResponse, as a pg_hba.conf causes
)


@asynccontextmanager
async def tls_in_front(port: int, pair: Path, host: str) -> AsyncIterator[int]:
    """The port at which the server of `port` is reached, over TLS alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{pair}.pem", f"{pair}.key")
    open_ones: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            if await reader.readexactly(8) != TLS_WANTED:
                writer.write(b"E" + (len(NO_TLS) + 4).to_bytes(4, "big") + NO_TLS)
                await writer.drain()
            else:
                writer.write(b"S")
                await writer.start_tls(context)
                await _both_ways(reader, writer, port)
        writer.close()
        open_ones.discard(task)

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(open_ones):
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


async def _both_ways(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    behind, to_behind = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_carry(reader, to_behind), _carry(behind, writer))


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    sink.close()
