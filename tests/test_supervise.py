"""`pumpwatch up`: four roles that are kept running, and that never outlive it."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from service.embedded.child import free_port
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.settings import inherited_environment
from tests.keys import LOOPBACK_ALLOWED
from tests.servers import eventually, gone

ROOT = Path(__file__).parents[1]
STARTED = re.compile(r"role_started role=(\w+) pid=(\d+)")


class Up:
    """`pumpwatch up` as a process, and what it has said so far."""

    def __init__(self, process: Process, api_url: str, log: Path) -> None:
        self.process = process
        self.api_url = api_url
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def pids(self, role: str) -> list[int]:
        return [int(pid) for name, pid in STARTED.findall(self.log) if name == role]

    def everybody(self) -> list[int]:
        return [int(pid) for _, pid in STARTED.findall(self.log)]

    async def line(self, beginning: str) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(180):
            while not (line := (await self.process.stdout.readline()).decode()).startswith(beginning):
                assert line, self.log
        return line.strip()

    async def ready(self) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.api_url, timeout=60) as client:
            return await client.get("/ready")


@asynccontextmanager
async def up(database_url: str, broker_url: str, directory: Path, *options: str, **settings: str) -> AsyncIterator[Up]:
    port = free_port()
    log = directory / "up.log"
    command = [sys.executable, "-m", "service", "up", "--database-url", database_url, "--broker-url", broker_url]
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            *("--api-port", str(port), *options),
            cwd=ROOT,
            env=inherited_environment()
            | {"PUMPWATCH_CANARY_EVERY_S": "0"}  # what is counted here is what a test has sent
            | {"PUMPWATCH_SECRET_KEY_FILE": str(directory / "secret.key"), "PUMPWATCH_WEBHOOK_ALLOW": LOOPBACK_ALLOWED}
            | settings,
            stdout=PIPE,
            stderr=errors,
        )
    try:
        yield Up(process, f"http://127.0.0.1:{port}", log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def answers(condition: Callable[[httpx.Response], bool], one: Up) -> httpx.Response:
    """The first answer of /ready for which `condition` is true."""
    async with asyncio.timeout(180):
        while True:
            try:
                answer = await one.ready()
            except httpx.TransportError:
                answer = httpx.Response(0)
            if condition(answer):
                return answer
            await asyncio.sleep(0.1)


async def test_a_role_that_dies_is_started_again_and_sigterm_leaves_nobody_behind(
    postgres_url: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with up(postgres_url, nats_server.mqtt_url, tmp_path) as one:
        assert re.fullmatch(r"administrator's token, shown this once: pumpwatch_\S+", await one.line("administrator"))
        assert await one.line("ready") == f"ready: {one.api_url}"
        assert (await one.ready()).status_code == 200

        first = one.pids("ingest")[0]
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: len(one.pids("ingest")) == 2)
        await answers(lambda answer: answer.status_code == 200, one)
        async with httpx.AsyncClient(base_url=one.api_url, timeout=60) as client:
            assert "pumpwatch_held_bytes" in (await client.get("/metrics")).text

        one.process.terminate()
        assert await one.process.wait() == 0
        assert all(gone(pid) for pid in one.everybody())
        assert len(one.everybody()) == 5
        assert "Traceback" not in one.log

    async with up(postgres_url, nats_server.mqtt_url, tmp_path) as again:
        assert await again.line("") == f"ready: {again.api_url}"  # and no second token


async def test_nobody_outlives_it_when_it_is_killed(postgres_url: str, nats_server: NatsServer, tmp_path: Path) -> None:
    async with up(postgres_url, nats_server.mqtt_url, tmp_path) as one:
        await one.line("ready")
        one.process.kill()
        await one.process.wait()
        await eventually(lambda: all(gone(pid) for pid in one.everybody()))


async def test_while_the_database_is_away_ready_says_so_and_everything_starts_when_it_is_back(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path: Path
) -> None:
    url = postgres_server.url()
    postgres_server.stop()
    async with up(url, nats_server.mqtt_url, tmp_path) as one:
        answer = await answers(lambda answer: answer.status_code == 503, one)
        assert "database" in answer.text
        assert one.pids("ingest") == []
        postgres_server.start()
        assert await one.line("ready")
        assert "Traceback" not in one.log


async def test_a_port_in_use_is_one_line_and_nothing_is_started(postgres_url: str, tmp_path: Path) -> None:
    async with up(postgres_url, "mqtt://127.0.0.1:1", tmp_path) as first:
        await answers(lambda answer: answer.status_code == 503, first)
        port = first.api_url.rpartition(":")[2]
        (tmp_path / "second").mkdir()
        second = up(postgres_url, "mqtt://127.0.0.1:1", tmp_path / "second", "--api-port", port)
        async with second as one:
            assert await one.process.wait() == 1
            assert one.log == f"pumpwatch: port {port} of 127.0.0.1 for the API: Address already in use\n"


async def test_wrong_settings_end_everything_with_their_line(postgres_url: str, tmp_path: Path) -> None:
    async with up(postgres_url, "mqtt://127.0.0.1:1", tmp_path, "--rulebook", "/no/such/file") as one:
        assert await one.process.wait() == 2
        assert one.log == "pumpwatch: PUMPWATCH_RULEBOOK: /no/such/file is not a file\n"
