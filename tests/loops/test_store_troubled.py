"""While the database has no room, is slow or lets nobody in, nothing is settled; afterwards everything goes on."""

import asyncio

import asyncpg
import pytest

from tests.loops.driven import Driven, telemetry
from tests.patience import until, until_true

_FAULT = """
    CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING errcode = '{}', message = 'as it would be';
    END
    $$;
    CREATE TRIGGER fault BEFORE INSERT ON stored_reading FOR EACH ROW EXECUTE FUNCTION fault();
"""
_MENDED = "DROP TRIGGER fault ON stored_reading"


@pytest.mark.parametrize(
    ("errcode", "said"),
    [
        pytest.param("53100", "DiskFullError", id="the disk is full"),
        pytest.param("57014", "QueryCanceledError", id="it took too long"),
        pytest.param("53300", "TooManyConnectionsError", id="no connections are left"),
        pytest.param("25006", "ReadOnlySQLTransactionError", id="it is a standby now"),
    ],
)
async def test_the_batch_waits_and_says_for_what(
    driven: Driven, connection: asyncpg.Connection, errcode: str, said: str
) -> None:
    driven.send("p1", telemetry(0, [1.0]))
    await driven.turn()
    await connection.execute(_FAULT.format(errcode))
    sent = driven.send("p1", telemetry(1, [1.0] * 5))
    turn = asyncio.create_task(driven.turn())
    await until_true(lambda: said in driven.store.problem, "the trouble to be told")
    assert sent not in driven.feed.settled
    await connection.execute(_MENDED)
    await until(turn, "the batch", 60.0)
    assert driven.feed.settled[-1] == sent
    assert driven.store.problem == ""
    assert await connection.fetchval("SELECT count(*) FROM reading") == 6


async def test_a_row_that_somebody_else_holds_is_waited_for(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("p1", telemetry(0, [1.0]))
    await driven.turn()
    sent = driven.send("p1", telemetry(1, [1.0] * 5))
    async with connection.transaction():
        await connection.execute("SELECT FROM shard FOR UPDATE")
        turn = asyncio.create_task(driven.turn())
        await until_true(lambda: "LockNotAvailableError" in driven.store.problem, "the trouble to be told")
        assert sent not in driven.feed.settled
    await until(turn, "the batch", 60.0)
    assert driven.feed.settled[-1] == sent
