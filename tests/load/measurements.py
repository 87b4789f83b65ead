"""What did a full load find, and where? One JSON file, in docs/measurements."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.benchmarks.processes import ROOT
from tests.failures.measurements import environment
from tests.load.ground import Ground

FILE = ROOT / "docs/measurements/soak_load.json"


async def record(name: str, here: Ground, told: dict[str, Any]) -> None:
    """Put the run into the file, in place of an earlier one of the same name."""
    runs = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    run = told["run"]
    runs[name] = {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "environment": await environment(here.database_url, here.broker),
        "load": {"pumps": run["pumps"], "connections": told["connections"], "interval_s": told["interval_s"]},
        "took_s": told["took_s"],
        "simulator": {
            "cpu_share": told["cpu_share"],
            "cpu_us_a_message": told["cpu_us_a_message"],
            "peak_memory_mb": told["peak_memory_mb"],
        },
        "processor_s": here.charged,
        "tally": run["tally"],
        "losses": told["losses"],
        "settle_latency_ms": run["settle_latency_ms"],
        "receipt_latency_ms": run["receipt_latency_ms"],
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(runs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
