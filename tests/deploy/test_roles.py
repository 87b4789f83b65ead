"""The roles as deploy/compose.yaml runs them, less the containers: the same words, settings and health checks, by the
installed wheel, as an unprivileged account, with no memory that can be both written to and run.
"""

import asyncio
import os
import re
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from service.embedded.child import free_port
from tests.deploy.conftest import Shipped, as_account
from tests.deploy.declared import services
from tests.patience import until, until_found

PATIENCE_S = 180
ROLES = ("ingest", "watch", "deliver", "api")
# As MemoryDenyWriteExecute does it of deploy/systemd; without effect where the kernel does not know it.
NOTHING_WRITABLE_RUNS = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Machine:
    """Where the compose file's names lead in this test."""

    def __init__(self, shipped: Shipped, home: Path, database_url: str, broker_url: str) -> None:
        self._shipped, self.home = shipped, home
        self.port = free_port()
        self._here = {
            "PUMPWATCH_DATABASE_URL": database_url,
            "PUMPWATCH_BROKER_URL": broker_url,
            "PUMPWATCH_BROKER_MONITOR_URL": "",
            "PUMPWATCH_API_PORT": str(self.port),
            "PUMPWATCH_CANARY_URL": f"http://127.0.0.1:{self.port}/hooks/canary",
        }

    def environment(self, name: str) -> dict[str, str]:
        declared = services()[name]["environment"] | self._here
        inside = {key: re.sub("^/run/pumpwatch", str(self.home), value) for key, value in declared.items()}
        return {"PATH": f"{self._shipped.environment}/bin:/usr/bin:/bin", "HOME": str(self.home), **inside}

    def command(self, words: list[str]) -> list[str]:
        before = [sys.executable, "-c", NOTHING_WRITABLE_RUNS, "/usr/bin/env", *as_account(self._shipped.account)]
        return [*before, "pumpwatch", *words]

    def checked(self, name: str) -> subprocess.CompletedProcess[str]:
        words = services()[name]["healthcheck"]["test"][2:]
        command = self.command(words)
        return subprocess.run(command, env=self.environment(name), capture_output=True, text=True, check=False)

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    async def start(self, name: str) -> Process:
        environment = self.environment(name)
        if directory := environment.get("PROMETHEUS_MULTIPROC_DIR"):
            Path(directory).mkdir(parents=True, exist_ok=True)
            self.give_away()
        with self.log(name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.command(services()[name]["command"]), env=environment, cwd=self.home, stdout=log, stderr=log
            )

    def give_away(self) -> None:
        if self._shipped.account is not None:
            for path in [self.home, *self.home.rglob("*")]:
                os.chown(path, self._shipped.account.pw_uid, self._shipped.account.pw_gid)


@pytest.fixture
async def machine(shipped: Shipped, empty_postgres_url: str, nats_url: str) -> AsyncIterator[Machine]:
    with TemporaryDirectory(prefix="pumpwatch-home-") as home:
        Path(home).chmod(0o755)
        yield Machine(shipped, Path(home), empty_postgres_url, nats_url)


@asynccontextmanager
async def running(machine: Machine, role: str) -> AsyncIterator[Process]:
    process = await machine.start(role)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await until(process.wait(), f"{role} to end", PATIENCE_S)


async def test_the_roles_work_as_they_are_declared_and_their_health_checks_say_so(machine: Machine) -> None:
    machine.give_away()
    migration = await machine.start("migrate")
    assert await until(migration.wait(), "the migration", PATIENCE_S) == 0, machine.log("migrate").read_text()
    before = await asyncio.gather(*(asyncio.to_thread(machine.checked, role) for role in ROLES))
    assert [check.returncode for check in before] == [1, 1, 1, 1]

    async with AsyncExitStack() as stack:
        processes = {role: await stack.enter_async_context(running(machine, role)) for role in ROLES}
        for role in ROLES:
            await until_found(
                lambda role=role: asyncio.to_thread(machine.checked, role),  # type: ignore[misc]
                f"the health check of {role}; {machine.log(role).read_text()}",
                PATIENCE_S,
                enough=lambda check: check.returncode == 0,
            )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{machine.port}", timeout=60) as client:

            async def ready() -> httpx.Response:
                return await client.get("/ready")

            await until_found(ready, "the service to be ready", PATIENCE_S, enough=lambda answer: answer.is_success)
            # Each role has a directory of its own for what it counts, and the API adds them up.
            counted = (await client.get("/metrics")).text
            assert re.search(r"^pumpwatch_broker_connections_total [1-9]", counted, re.MULTILINE)
            assert 'pumpwatch_link_broken{link="' in counted or "pumpwatch_heartbeats" in counted
        assert all(process.returncode is None for process in processes.values())
    assert [process.returncode for process in processes.values()] == [0, 0, 0, 0]
    assert not [role for role in ROLES if "Traceback" in machine.log(role).read_text()]


async def test_while_the_database_is_away_a_role_is_not_called_broken(shipped: Shipped, tmp_path: Path) -> None:
    away = Machine(shipped, tmp_path, "postgresql://x@127.0.0.1:1/x", "mqtt://127.0.0.1:1")
    assert away.checked("deliver").returncode == 0
    assert away.checked("api").returncode == 1
