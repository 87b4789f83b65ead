"""The demonstration, as whoever tries the product first sees it: one command, a verdict, nothing left behind."""

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.servers import eventually, gone

ROOT = Path(__file__).parents[2]


def descendants(pid: int) -> list[int]:
    """Every process below `pid`."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text(encoding="ascii").split()
    ]
    return children + [below for child in children for below in descendants(child)]


async def test_the_demo_raises_what_is_due_and_nothing_else_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Told to end as with Ctrl-C, once it is live; with `--for` the same happens by itself."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "service", "demo", "--pumps", "60", "--report", str(report)]
    demo = await asyncio.create_subprocess_exec(
        *command, "--directory", str(tmp_path / "demo"), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    assert demo.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(180):
        while not re.search(r"live \d+ s", lines[-1] if lines else ""):
            line = (await demo.stdout.readline()).decode()
            assert line, lines
            lines.append(line)
        below = descendants(demo.pid)
        assert len(below) >= 9  # two servers, up and its four roles, fleet, clinic
        demo.send_signal(signal.SIGINT)
        rest, errors = await demo.communicate()
    told = "".join(lines) + rest.decode()
    assert demo.returncode == 0, told + errors.decode()
    assert errors == b""
    assert re.search(r"All \d+ faults that were due raised their alerts, and no alert was false", told)
    await eventually(lambda: all(gone(pid) for pid in below))

    found = json.loads(report.read_bytes())
    assert found["well"]
    assert found["problems"] == found["judgement"]["false_alerts"] == []
    due = [fault for fault in found["judgement"]["faults"] if fault["due"]]
    assert {"stall", "reservoir_low", "over_delivery", "under_delivery"} <= {fault["fault"] for fault in due}
    assert found["counts"]["readings"] >= 60 * 24 * 60
    assert found["webhooks_verified"] >= len(due) - 1
    assert "Traceback" not in (tmp_path / "demo" / "up.log").read_text(encoding="utf-8")
