"""Hostile connections beside good pumps: the good ones lose nothing. By real brokers, and the ingester itself."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.settings import inherited_environment
from tests.benchmarks.processes import ROOT, ended, started
from tests.keys import ENVIRONMENT
from tests.patience import until, until_found
from tests.security.conftest import OTHER
from tests.security.hostile import Hostile
from tests.security.installation import Installation, SecuredBroker

SESSION_SECRET = "n0b0dy-gu3sses"


@asynccontextmanager
async def ingesting(broker: SecuredBroker, database_url: str, directory: Path) -> AsyncIterator[None]:
    environment = inherited_environment() | ENVIRONMENT
    environment |= {
        "PUMPWATCH_DATABASE_URL": database_url,
        "PUMPWATCH_BROKER_URL": broker.url,
        "PUMPWATCH_BROKER_TLS_DIR": str(broker.installation.services),
        "PUMPWATCH_SESSION_SECRET": SESSION_SECRET,
    }
    command = [sys.executable, "-m", "service", "run", "ingest"]
    async with ended(await started(command, environment=environment, log=directory / "ingest.log")):
        yield


async def fleet(broker: SecuredBroker, prefix: str, pumps: int, live_s: int, report: Path) -> dict[str, Any]:
    """Good pumps, a connection each; they end when everything that they measured has its receipt."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "fleet", "--broker", broker.url, "--connections", "pump"),
        *("--tls-dir", str(broker.installation.pumps), "--pumps", str(pumps), "--prefix", prefix, "--faults", "none"),
        *("--connects-a-second", "100", "--interval", "5", "--backlog-hours", "0", "--live-s", str(live_s)),
        *("--drain-s", "240", "--report", str(report)),
        cwd=ROOT,
        env=inherited_environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await until(process.wait(), "the good pumps to end", 420.0)
    said: dict[str, Any] = json.loads(report.read_text())
    return said


async def beside(
    broker: SecuredBroker, database_url: str, directory: Path, *, good: int, hostile: int, live_s: int
) -> dict[str, int]:
    installation: Installation = broker.installation
    prefix = f"g{broker.name[0]}{good}-"
    ids = installation.issue_many(prefix, good)
    broker.reload()
    connection = await asyncpg.connect(database_url)
    stop = asyncio.Event()
    enemies = Hostile(broker.port, installation.nobody(), installation.pump(OTHER), ids[0])
    async with ingesting(broker, database_url, directory):

        async def hears() -> bool:
            return bool(await connection.fetchval("SELECT marker_at IS NOT NULL FROM shard"))

        await until_found(hears, "the ingester to hear itself")
        attacks = [asyncio.create_task(enemies.attack(number, stop)) for number in range(hostile)]
        try:
            said = await fleet(broker, prefix, good, live_s, directory / "report.json")
        finally:
            stop.set()
            await asyncio.gather(*attacks, return_exceptions=True)
        tally = said["tally"]
        measured = tally["measured_readings"]
        assert tally["receipted_items"] == measured + tally["measured_events"]
        assert (said["held_items"], tally["given_up_items"], tally["overwritten_items"]) == (0, 0, 0)
        stored = await connection.fetchval(
            "SELECT count(*) FROM reading JOIN pump USING (pump) WHERE pump_id LIKE $1", f"{prefix}%"
        )
        assert stored == measured >= good
        strangers = await connection.fetchval("SELECT count(*) FROM pump WHERE pump_id NOT LIKE $1", f"{prefix}%")
        assert strangers == 0
        assert await connection.fetchval("SELECT count(*) FROM quarantine") == 0
        kinds = set(enemies.done) - {"connections"}
        assert len(kinds) == min(hostile, 8), enemies.done
    await connection.close()
    return {"good": good, "readings": measured, "hostile": hostile, **enemies.done}


async def test_good_pumps_lose_nothing_beside_hostile_ones(
    broker: SecuredBroker, postgres_url: str, tmp_path: Path
) -> None:
    await beside(broker, postgres_url, tmp_path, good=50, hostile=50, live_s=5)


@pytest.mark.soak
async def test_a_thousand_good_pumps_lose_nothing_beside_a_thousand_hostile_ones(
    broker: SecuredBroker,
    postgres_url: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, figure in (await beside(broker, postgres_url, tmp_path, good=1000, hostile=1000, live_s=60)).items():
        record_property(name, figure)
        with capsys.disabled():
            sys.stdout.write(f"{broker.name} {name}: {figure}\n")
