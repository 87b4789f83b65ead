"""On what was it measured, and what else did that machine have to do?"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import ROOT


def described() -> dict[str, Any]:
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": load(),
    }


def load() -> list[float]:
    """Processes that ran or wanted to, on the mean of 1, 5 and 15 minutes."""
    return [round(each, 2) for each in os.getloadavg()]


def _commit() -> str | None:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return found.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
