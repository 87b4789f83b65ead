"""The ingest role as a process of its own, which is killed and started again, and watched by what it counts."""

import json
import struct
import sys
from asyncio.subprocess import Process
from collections import Counter
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from service.settings import inherited_environment
from tests.benchmarks.processes import ENDS_WITHIN_S, started
from tests.patience import until

COUNTED = {  # the counter, and the values of its labels
    "stored": ("pumpwatch_readings_stored_total",),
    "events_stored": ("pumpwatch_events_stored_total",),
    "duplicates": ("pumpwatch_duplicates_total",),
    "redelivered_while_pending": ("pumpwatch_messages_discarded_total", "pending_already"),
    "settled": ("pumpwatch_settled_total",),
    "receipts": ("pumpwatch_receipts_total",),
    "sessions_lost": ("pumpwatch_broker_sessions_lost_total",),
}


class Ingester:
    """Each life of it counts in files of its own: a killed process leaves behind what it had counted."""

    def __init__(self, directory: Path, database_url: str, broker_url: str, **settings: str) -> None:
        self._directory = directory
        self._settings = {"PUMPWATCH_DATABASE_URL": database_url, "PUMPWATCH_BROKER_URL": broker_url, **settings}
        self._child: Process | None = None
        self._lives = 0
        self._before: Counter[str] = Counter()  # counted in earlier lives
        directory.mkdir()
        self.log_file = directory / "log"

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    async def start(self) -> None:
        self._lives += 1
        own = str(self._own)
        self._own.mkdir()
        environment = inherited_environment() | self._settings
        environment |= {"PUMPWATCH_METRICS_DIR": own, "PROMETHEUS_MULTIPROC_DIR": own}
        command = [sys.executable, "-m", "service", "run", "ingest"]
        self._child = await started(command, environment=environment, log=self.log_file)

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.check()
        assert self._child is not None
        self._child.kill()
        await self._child.wait()
        self._before += self._counted_now()
        self._child = None

    async def stop(self) -> int:
        """SIGTERM; return its exit code."""
        assert self._child is not None
        self._child.terminate()
        code = await until(self._child.wait(), "the ingester to end", ENDS_WITHIN_S)
        self._before += self._counted_now()
        self._child = None
        return code

    async def ended_by_itself(self) -> int:
        """Wait until it has ended of its own accord; return its exit code."""
        assert self._child is not None
        code = await until(self._child.wait(), "the ingester to end by itself", ENDS_WITHIN_S)
        self._before += self._counted_now()
        self._child = None
        return code

    async def abandon(self) -> None:
        """End it, whatever it does: the test is over."""
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    def check(self) -> None:
        """Nobody but us may end it."""
        if self._child is not None and self._child.returncode is not None:
            last = "\n".join(self.log.splitlines()[-30:])
            raise AssertionError(f"the ingester ended by itself with code {self._child.returncode}:\n{last}")

    @property
    def counts(self) -> dict[str, int]:
        """What it has counted over all its lives, by the names of COUNTED."""
        now = self._counted_now() if self._child is not None else Counter()
        return {name: self._before[name] + now[name] for name in COUNTED}

    def now(self, name: str) -> int:
        """What it has counted in this life."""
        self.check()
        return self._counted_now()[name]

    @property
    def _own(self) -> Path:
        return self._directory / f"life{self._lives}"

    def _counted_now(self) -> Counter[str]:
        """What it counts in the file that it shares; nothing while it is only just making that."""
        assert self._child is not None
        try:
            told = list(MmapedDict.read_all_values_from_file(str(self._own / f"counter_{self._child.pid}.db")))
        except (FileNotFoundError, struct.error):
            return Counter()
        samples = {(name, *labels.values()): int(value) for _, name, labels, value in map(_read, told)}
        return Counter({name: samples.get(sample, 0) for name, sample in COUNTED.items()})


def _read(told: tuple[str, float, float, int]) -> tuple[str, str, dict[str, str], float]:
    family, name, labels, _ = json.loads(told[0])
    return family, name, labels, told[1]
