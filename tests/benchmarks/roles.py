"""How is a role of the service run, as `pumpwatch up` runs it, and watched by what it counts in shared files?"""

import asyncio
import json
import shutil
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct

import asyncpg
from prometheus_client.mmap_dict import MmapedDict

from service.settings import inherited_environment
from tests.benchmarks.processes import cpu_s, ended, started
from tests.keys import ENVIRONMENT

PATIENCE_S = 120.0
LOOK_EVERY_S = 0.01
VALUE = Struct("d")


class RoleError(Exception):
    """A role ended, or did not do in time what it was measured for."""


@dataclass
class Role:
    name: str
    directory: Path
    child: Process
    places: dict[str, int] = field(default_factory=dict)  # of the counters' values in their file

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.child.pid)

    def counted(self, name: str) -> float:
        """The value of one of its counters, from the file that it shares: neither of us notices the cost."""
        path = self.directory / f"counter_{self.child.pid}.db"
        if name not in self.places:
            told = MmapedDict.read_all_values_from_file(str(path))
            self.places = {json.loads(key)[1]: place for key, _, _, place in told}
        with path.open("rb") as counters:
            counters.seek(self.places[name])
            return float(VALUE.unpack(counters.read(VALUE.size))[0])

    @property
    def stages_s(self) -> dict[str, float]:
        """How long its batches were in each stage, all together."""
        told = MmapedDict.read_all_values_from_file(str(self.directory / f"histogram_{self.child.pid}.db"))
        read = ((json.loads(key), value) for key, value, _, _ in told)
        return {key[2]["stage"]: value for key, value in read if key[1] == "pumpwatch_stage_seconds_sum"}

    async def wait_until(self, counts: Mapping[str, int]) -> float:
        """Return time.monotonic() when each of these counters has reached its count."""
        deadline = time.monotonic() + PATIENCE_S
        while reached := {name: self.counted(name) for name, count in counts.items() if self.counted(name) < count}:
            self.check()
            if time.monotonic() > deadline:
                raise RoleError(
                    f"{self.name} has {reached}, not {counts}, after {PATIENCE_S:.0f} s: {self.last_words()}"
                )
            await asyncio.sleep(LOOK_EVERY_S)
        return time.monotonic()

    async def wait_until_ready(self, database_url: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        connection = await asyncpg.connect(database_url)
        try:
            while not await connection.fetchval("SELECT bool_or(ready) FROM role_heartbeat WHERE role = $1", self.name):
                self.check()
                if time.monotonic() > deadline:
                    raise RoleError(f"{self.name} was not ready after {PATIENCE_S:.0f} s: {self.last_words()}")
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            await connection.close()

    def check(self) -> None:
        if self.child.returncode is not None:
            raise RoleError(f"{self.name} ended with code {self.child.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        return "\n".join((self.directory / "log").read_text(encoding="utf-8").splitlines()[-20:])


@asynccontextmanager
async def running(
    name: str, directory: Path, database_url: str, broker_url: str, *, program: Sequence[object] = ("service",)
) -> AsyncIterator[Role]:
    """Run one role until the block ends; it is ready when the block begins. `program`: the module that runs it."""
    own = directory / name
    own.mkdir()
    environment = inherited_environment() | {
        "PUMPWATCH_DATABASE_URL": database_url,
        "PUMPWATCH_BROKER_URL": broker_url,
        "PUMPWATCH_METRICS_DIR": str(own),
        "PROMETHEUS_MULTIPROC_DIR": str(own),
        "PUMPWATCH_LOG_LEVEL": "warning",
        **ENVIRONMENT,
    }
    child = await started([sys.executable, "-m", *program, "run", name], environment=environment, log=own / "log")
    try:
        async with ended(child):
            role = Role(name, own, child)
            await role.wait_until_ready(database_url)
            yield role
    finally:
        shutil.rmtree(own)
