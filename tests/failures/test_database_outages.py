"""Whatever becomes of the database: it is told of, nothing is lost, and nobody has to start anything again."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import asyncpg
import pytest

from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from tests.conftest import QUICK
from tests.failures.broker import unsettled
from tests.failures.outside import Outside, outside
from tests.failures.standby import NAME, Standby
from tests.patience import until_found, until_true

LATE = "SELECT raised_at, detected_at FROM alert WHERE condition = 'battery_reset'"
PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'stored_reading'::regclass"
FILL = "INSERT INTO filler SELECT repeat('x', 2000) FROM generate_series(1, $1)"
LAG = "SELECT evidence->>'reason' AS reason FROM alert WHERE condition = 'ingest_lagging' ORDER BY raised_at DESC"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("outages") / "postgres", settings=QUICK)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def running(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    """One service for all that becomes of its database, since nobody has to start it again."""
    directory = tmp_path_factory.mktemp("service")
    broker = NatsServer(directory / "nats")
    broker.start()
    try:
        async with outside(server.url(), broker, directory) as found:
            yield found
    finally:
        broker.stop()


@pytest.fixture
async def here(running: Outside) -> Outside:
    await running.send(1)
    await running.until_settled()
    running.forget()
    return running


async def test_while_it_is_away_nothing_is_settled_somebody_is_told_and_all_is_stored_and_told_after(
    here: Outside, server: PostgresServer
) -> None:
    server.kill()
    await here.send(30)
    at_ms = await here.send_fault()
    told = await here.until_told("activated", "storage_unavailable")
    assert unsettled(here.broker) == 31, "the broker holds it"
    assert not here.clinic.requests
    server.start()
    await here.until_settled()
    assert await here.stored() == here.sent
    await here.until_told("resolved", "storage_unavailable")

    # The alerts of that time come late, with both clocks; and that it was away is told of in the usual way as well.
    [alert] = await until_found(lambda: here.fetch(LATE), "the pump's alert")
    assert round(alert["detected_at"].timestamp() * 1000) == at_ms
    assert (alert["raised_at"] - alert["detected_at"]).total_seconds() > 2
    heard = {"battery_reset", "storage_unavailable"}
    await until_true(lambda: heard <= {each.body["data"]["condition"] for each in here.clinic.requests}, "the clinic")
    outage = next(each for each in here.clinic.requests if each.body["data"]["condition"] == "storage_unavailable")
    assert outage.body["data"]["alert_id"] == told["alert_id"]
    assert "alerts of that time come late" in outage.body["data"]["what"]


async def test_where_it_takes_no_connection_more_that_is_told_of_and_those_that_stand_go_on(here: Outside) -> None:
    async with AsyncExitStack() as crowd:
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                connection = await asyncpg.connect(here.database_url)
                crowd.push_async_callback(connection.close)
        told = await here.until_told("activated", "storage_unavailable")
        assert "TooManyConnectionsError" in told["what"]
        await here.send(10)
        await here.until_settled()
    await here.until_told("resolved", "storage_unavailable")
    assert await here.stored() == here.sent


async def test_where_writing_waits_the_shard_lags_and_says_why(here: Outside) -> None:
    connection = await asyncpg.connect(here.database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE reading IN SHARE MODE")  # COPY waits for it; whoever reads does not
        await here.send(10)
        await here.until_alert("ingest_lagging", "active")
        assert unsettled(here.broker) == 10
    await connection.close()
    await here.until_settled()
    await here.until_alert("ingest_lagging", "resolved")
    assert await here.stored() == here.sent


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """16 MiB, where any account can walk to."""
    disk = Path(f"/tmp/pumpwatch-small-{os.getpid()}")  # noqa: S108
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0777", "tmpfs", str(disk)]
    try:
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a small disk, and not everywhere")
        (disk / "space").mkdir(mode=0o777)
        (disk / "space").chmod(0o777)
        yield disk / "space"
        subprocess.run(["umount", "-l", str(disk)], check=True)
    finally:
        disk.rmdir()


async def test_where_the_disk_is_full_nothing_is_settled_until_there_is_room(here: Outside, small_disk: Path) -> None:
    subprocess.run(["chown", "nobody", str(small_disk)], check=True)
    connection = await asyncpg.connect(here.database_url)
    await connection.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    partitions = [row["name"] for row in await connection.fetch(PARTITIONS)]
    assert partitions
    for name in partitions:
        await connection.execute(f"ALTER TABLE {name} SET TABLESPACE small")
    await connection.execute("CREATE TABLE filler (of text) TABLESPACE small")
    for rows in (100, 1):
        with suppress(asyncpg.DiskFullError):
            while True:
                await connection.execute(FILL, rows)
    await here.send(8000, a_message=4000)
    await here.until_alert("ingest_lagging", "active")
    assert unsettled(here.broker) == 2
    assert "DiskFullError" in (await here.fetch(LAG))[0]["reason"]
    await connection.execute("DROP TABLE filler")
    await connection.execute("CHECKPOINT")  # gives back to the disk what was dropped
    await here.until_settled()
    assert await here.stored() == here.sent
    await here.until_alert("ingest_lagging", "resolved")
    for name in partitions:
        await connection.execute(f"ALTER TABLE {name} SET TABLESPACE pg_default")
    await connection.execute("DROP TABLESPACE small")
    await connection.close()


async def test_another_server_takes_over_and_the_service_goes_on_with_it(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    its = tmp_path / "first"
    first = PostgresServer(its, settings=QUICK | {"synchronous_standby_names": NAME})
    first.start()
    first.stop()
    second = Standby.of(first, its, tmp_path / "second")
    try:
        first.start()
        second.start()
        both = first.url().replace(f":{first.port}/", f":{first.port},127.0.0.1:{second.port}/")
        async with outside(first.url(), nats_server, tmp_path, up_url=both) as here:
            await here.send(20)
            await here.until_settled()
            first.kill()
            await here.send(30)
            await here.until_told("activated", "storage_unavailable")
            await second.promote()
            here.database_url = second.url()
            await here.until_settled()
            assert await here.stored() == 50
            await here.until_told("resolved", "storage_unavailable")
    finally:
        second.stop()
        first.stop()
