"""What did a soak find, and where? One JSON file for all of its runs, in docs/measurements."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import asyncpg

from service.embedded.nats import NatsServer
from tests.benchmarks.processes import ROOT
from tests.failures.broker import version
from tests.failures.run import Outcome
from tests.failures.stage import Broker, Stage
from tests.servers import mosquitto_binary

FILE = ROOT / "docs/measurements/soak_kills.json"


async def record(name: str, stage: Stage, outcome: Outcome) -> None:
    """Put the run into the file, in place of an earlier one of the same name."""
    runs = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    runs[name] = {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "environment": await environment(stage.database_url, stage.broker),
        **_told(stage, outcome),
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(runs, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _told(stage: Stage, outcome: Outcome) -> dict[str, Any]:
    tally, counts = outcome.fleet.tally, outcome.counts
    return {
        "load": asdict(stage.fleet.load),
        "took_s": outcome.took_s,
        "happened": [asdict(each) for each in outcome.happened],
        "messages": {name: tally[name] for name in ("messages", "sent", "resent", "settled")},
        "items": {
            "readings_measured": tally["measured_readings"],
            "events_measured": tally["measured_events"],
            "readings_stored": outcome.readings_stored,
            "events_stored": outcome.events_stored,
            "duplicates_discarded": counts["duplicates"],
        },
        "redelivered_while_pending": counts["redelivered_while_pending"],
        "sessions_lost_by_the_broker": counts["sessions_lost"],
        "receipts": tally["receipts"],
        "alerts": {"due": outcome.alerts_due, "raised": outcome.alerts_raised},
        "wrong": {name: len(found) for name, found in outcome.verdict._asdict().items()},
        "receipted_and_not_stored_meanwhile": len(outcome.uncovered_meanwhile),
    }


async def environment(database_url: str, broker: Broker) -> dict[str, Any]:
    """On what it was measured."""
    connection = await asyncpg.connect(database_url)
    try:
        postgresql = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return {
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": postgresql,
        "broker": _version(broker),
    }


def _version(broker: Broker) -> str:
    if isinstance(broker, NatsServer):
        return f"nats-server {version(broker)}"
    said = subprocess.run([str(mosquitto_binary()), "-h"], capture_output=True, text=True, check=False)
    return said.stdout.splitlines()[0].strip()
