"""A boot that cannot be is kept aside until a person accepts it; then the pump goes on in it."""

from datetime import UTC, datetime

import asyncpg

from service.postgres.boots import accept
from tests.loops.driven import Driven, telemetry

LEAPT = telemetry(0, [1.0] * 3, boot=70_000, held_from=(70_000, 0))


async def send(driven: Driven, message: dict[str, object]) -> None:
    driven.send("p1", message)
    await driven.turn()


async def newest(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT max(position) >> 40 FROM reading"))


async def test_what_comes_of_an_accepted_boot_is_taken_and_of_one_still_further_ahead_is_not(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    await send(driven, telemetry(0, [1.0] * 5))
    await send(driven, LEAPT)
    assert await newest(connection) == 1
    assert await connection.fetchval("SELECT reason FROM quarantine") == "implausible_boot"
    await driven.wait_ms(61_000)
    assert await accept(connection, "p1", 70_000, "it leapt", "ada", datetime.now(UTC))
    await send(driven, LEAPT)
    assert await newest(connection) == 70_000
    await driven.wait_ms(10_000)
    assert driven.feed.receipts[-1] == ("p1", 70_000, 2)
    await send(driven, telemetry(0, [1.0], boot=900_000, held_from=(900_000, 0)))
    assert await newest(connection) == 70_000
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 2
