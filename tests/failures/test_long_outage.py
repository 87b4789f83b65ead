"""The database is away for ten minutes while 2,000 messages come each second: the figures of the issue, once."""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from tests.benchmarks.processes import ROOT, ended, started
from tests.failures.broker import unsettled
from tests.failures.measurements import environment
from tests.failures.outside import Outside, outside
from tests.patience import until, until_found, until_true

FILE = ROOT / "docs/measurements/soak_database_away.json"
DRAINED_WITHIN_S = 1500.0
LATE = """
    SELECT extract(epoch FROM raised_at - detected_at)::float8 AS late_s FROM alert WHERE condition = 'battery_reset'
"""


@dataclass(frozen=True)
class Load:
    rate: int = 2000
    pumps: int = 2000
    before_s: int = 40
    away_s: int = 600
    after_s: int = 40

    @property
    def messages(self) -> int:
        return self.rate * (self.before_s + self.away_s + self.after_s)


@pytest.mark.soak
@pytest.mark.timeout(3000)
async def test_ten_minutes_without_the_database_lose_nothing_and_somebody_is_told_meanwhile(tmp_path: Path) -> None:
    load = Load()
    postgres, broker = PostgresServer(tmp_path / "postgres"), NatsServer(tmp_path / "nats")
    try:
        postgres.start()
        broker.start()
        async with outside(postgres.url(), broker, tmp_path, after_s=20) as here:
            figures = await _figures(load, here, postgres)
            figures["environment"] = await environment(postgres.url(), broker)
    finally:
        broker.stop()
        postgres.stop()
    FILE.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    assert figures["settled_while_away"] == 0
    assert figures["stored"] == figures["sent"]
    assert figures["told_directly"] == ["activated", "repeated", "resolved"]


async def _figures(load: Load, here: Outside, postgres: PostgresServer) -> dict[str, Any]:
    words = ["--count", load.messages, "--rate", load.rate, "--pumps", load.pumps, "--within-s", 2400]
    blaster = await started([sys.executable, "-m", "tests.benchmarks.blaster", "--url", here.broker.mqtt_url, *words])
    async with ended(blaster):
        began = time.monotonic()
        await asyncio.sleep(load.before_s)  # what is measured is a span of time
        postgres.kill()
        away_at = time.monotonic()
        told = asyncio.create_task(here.until_told("activated", "storage_unavailable"))
        await until(told, "somebody to be told", 120)
        told_after_s = time.monotonic() - away_at
        held = unsettled(here.broker)
        settled = 0
        while time.monotonic() < away_at + load.away_s:
            await asyncio.sleep(5)
            now_held = unsettled(here.broker)
            settled += now_held < held
            held = now_held
        await here.send_fault()
        held_at_the_end = unsettled(here.broker)
        postgres.start()
        back_at = time.monotonic()
        [late] = await until_found(lambda: here.fetch(LATE), "the alert of that time", DRAINED_WITHIN_S)
        alert_after_s = time.monotonic() - back_at
        assert await until(blaster.wait(), "all to be sent", DRAINED_WITHIN_S) == 0
        sent_s = time.monotonic() - began
    await until_true(lambda: unsettled(here.broker) == 0, "everything to be settled", DRAINED_WITHIN_S)
    drained_after_s = time.monotonic() - back_at
    await here.until_told("resolved", "storage_unavailable")
    return {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "load": asdict(load) | {"messages_a_second_sent": round(load.messages / sent_s)},
        "sent": load.messages + here.sent,
        "stored": await here.stored(),
        "settled_while_away": settled,
        "held_by_the_broker_at_the_end": held_at_the_end,
        "told_directly_after_s": round(told_after_s, 1),
        "told_directly": [
            each.body["type"].removeprefix("alert.")
            for each in here.direct.requests
            if each.body["data"]["condition"] == "storage_unavailable"
        ],
        "alert_of_a_pump_raised_after_it_was_back_s": round(alert_after_s, 1),
        "and_after_it_was_measured_s": round(late["late_s"], 1),
        "everything_stored_after_it_was_back_s": round(drained_after_s, 1),
    }
