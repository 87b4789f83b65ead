"""Where the names of deploy/compose.yaml lead in a test, and its services as plain processes: the same words, settings
and health checks, by the installed wheel, as an unprivileged account, with no memory that can be written to and run.
"""

import asyncio
import os
import re
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.embedded.child import free_port
from tests.deploy.conftest import Shipped, as_account
from tests.deploy.declared import as_declared, services
from tests.patience import until

PATIENCE_S = 180
# As MemoryDenyWriteExecute does it of deploy/systemd; without effect where the kernel does not know it.
NOTHING_WRITABLE_RUNS = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Machine:
    """Where the compose file's names lead in this test."""

    def __init__(self, shipped: Shipped, home: Path, database_url: str, broker_url: str) -> None:
        self._shipped, self.home = shipped, home
        self.port = free_port()
        self.database_url = database_url
        self._here = {
            "PUMPWATCH_BROKER_URL": broker_url,
            "PUMPWATCH_BROKER_MONITOR_URL": "",
            "PUMPWATCH_API_PORT": str(self.port),
            "PUMPWATCH_CANARY_URL": f"http://127.0.0.1:{self.port}/hooks/canary",
        }

    def environment(self, name: str) -> dict[str, str]:
        declared = services()[name]["environment"] | self._here
        declared["PUMPWATCH_DATABASE_URL"] = self._address(name)
        inside = {key: re.sub("^/run/pumpwatch", str(self.home), value) for key, value in declared.items()}
        return {"PATH": f"{self._shipped.environment}/bin:/usr/bin:/bin", "HOME": "/nonexistent", **inside}

    def _address(self, name: str) -> str:
        """The owner of a test's database has another name than compose gives it."""
        return self.database_url if name == "migrate" else as_declared(name, self.database_url)

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
        """From a directory that it may not write to, as in an image that is read-only."""
        environment = self.environment(name)
        if directory := environment.get("PROMETHEUS_MULTIPROC_DIR"):
            Path(directory).mkdir(parents=True, exist_ok=True)
            self.give_away()
        with self.log(name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.command(services()[name]["command"]), env=environment, cwd="/", stdout=log, stderr=log
            )

    def give_away(self) -> None:
        if self._shipped.account is not None:
            for path in [self.home, *self.home.rglob("*")]:
                os.chown(path, self._shipped.account.pw_uid, self._shipped.account.pw_gid)


@asynccontextmanager
async def running(machine: Machine, role: str) -> AsyncIterator[Process]:
    process = await machine.start(role)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await until(process.wait(), f"{role} to end", PATIENCE_S)
