"""Roles that are not there, endpoints that nobody can reach, and nobody to be told at all."""

import asyncio
from datetime import UTC, datetime

import asyncpg

from service.doctor import people
from service.doctor.finding import Level
from service.settings import Settings
from tests.doctor.seen import told

SETTINGS = Settings(database_url="postgresql://127.0.0.1/x", canary_every_s=0.0)


async def looked(connection: asyncpg.Connection, settings: Settings = SETTINGS) -> list[people.Finding]:
    return await people.look(connection, settings, datetime.now(UTC))


async def test_roles_that_are_not_there_and_that_there_is_nobody_to_tell_are_found(
    connection: asyncpg.Connection,
) -> None:
    found = told(await looked(connection))
    assert "no shard has an ingester -> start `pumpwatch run ingest`" in found
    assert "deliver is not running" in found
    assert "there is none: nobody is told of any alert -> `pumpwatch endpoint add" in found


async def test_an_endpoint_that_cannot_be_reached_and_one_that_fails_are_found(connection: asyncpg.Connection) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for name, url in {
        "near": f"http://127.0.0.1:{port}/hook",
        "away": "http://127.0.0.1:1/",
        "no": "http://no.invalid/",
    }.items():
        await connection.execute("INSERT INTO endpoint (name, url, secret) VALUES ($1, $2, 'whsec_')", name, url)
    settings = Settings(database_url="postgresql://127.0.0.1/x", heartbeat_url="http://127.0.0.1:1", canary_every_s=0.0)
    async with server:
        found = await looked(connection, settings)
        assert "away: no connection" in told(found)
        assert "no: the name of its host is not known" in told(found)
        assert "PUMPWATCH_HEARTBEAT_URL: no connection" in told(found)
        assert "near: nothing was ever delivered -> `pumpwatch endpoint test near`" in told(found, Level.WARNING)
        await connection.execute(
            "INSERT INTO circuit (endpoint, opened_at) SELECT id, now() FROM endpoint WHERE name = 'near'"
        )
        assert "near: fails, and is only probed" in told(await looked(connection, settings))
