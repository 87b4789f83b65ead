"""A fault is injected into a fleet that runs: it is said and labelled, or refused in words if it cannot be."""

import asyncio
import json
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from simulators.control import Wanted, inject
from simulators.faults import Kind
from tests.patience import until, until_true
from tests.simulators.desk import Desk


@asynccontextmanager
async def fleet(url: str, desk: Desk, directory: Path, prefix: str, *more: object) -> AsyncIterator[Any]:
    """A fleet in a process of its own that is live."""
    writing = ("--labels", directory / "labels.json", "--report", directory / "report.json")
    publishing = ("--pumps", 5, "--prefix", prefix, "--backlog-hours", 0.1, "--live-s", 3600, "--interval", 0.2)
    words = ("fleet", "--broker", url, "--faults", "none", "--control", directory / "c", *publishing, *writing, *more)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators", *map(str, words), stderr=asyncio.subprocess.PIPE
    )
    try:
        await until_true(lambda: sum(pump_id == f"{prefix}000005" for pump_id, _ in desk.messages) > 5, "the fleet")
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def told(*words: object) -> tuple[int, str]:
    """Run `pumpsim inject`; return its exit code and what it said."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "inject", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await until(child.communicate(), "pumpsim inject", 20)
    return child.returncode or 0, said.decode()


async def test_a_fault_is_injected_labelled_and_reported(nats_url: str, tmp_path: Path) -> None:
    desk = Desk(nats_url, "desk-inject")
    assert desk.subscribed.wait(10)
    directory, to = tmp_path / "c", ("--control", tmp_path / "c")
    async with fleet(nats_url, desk, tmp_path, "inj-") as child:
        [socket] = directory.glob("*.sock")
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

        code, said = await told("stall", "--pump", "inj-000003", "--for", "2h", *to)
        assert code == 0, said
        assert said.startswith("inj-000003: stall from ")
        assert "must raise stall" in said
        assert (await told("silence", "--pump", "inj-000004", *to))[0] == 0

        code, said = await told("meteor", "--pump", "inj-000003", *to)
        assert code == 2
        assert "no such fault: meteor; known are stall" in said
        assert set(Kind) <= set(said.replace(",", " ").split())
        code, said = await told("stall", "--pump", "inj-000009", *to)
        assert code == 2
        assert "no such pump: inj-000009; this fleet has inj-000001, inj-000002" in said

        heard = [len(of("inj-000004", desk)), len(of("inj-000001", desk))]
        await until_true(lambda: len(of("inj-000001", desk)) > heard[1] + 5, "more readings")
        assert len(of("inj-000004", desk)) <= heard[0] + 2
        await until_true(lambda: flow(desk) == [0.0] * 3, "the stall to show")
        child.terminate()
        await until(child.wait(), "the fleet to end", 60)
    desk.close()
    labels = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {(label["pump_id"], label["fault"]) for label in labels} >= {
        ("inj-000003", "stall"),
        ("inj-000004", "silence"),
    }
    stall = next(label for label in labels if label["fault"] == "stall")
    assert stall["end_ms"] - stall["onset_ms"] == pytest.approx(7_200_000, abs=2000)
    assert [label["fault"] for label in report["injected"]] == ["stall", "silence"]
    assert not list(directory.glob("*.sock"))


def of(pump_id: str, desk: Desk) -> list[dict[str, Any]]:
    return [message for each, message in list(desk.messages) if each == pump_id and "flow_ml_d" in message]


def flow(desk: Desk) -> list[float]:
    """What the stalled pump measured last, as its rotor has it; a sensor's noise is not zero."""
    latest = [message["flow_ml_d"][-1] for message in of("inj-000003", desk)[-3:]]
    return [0.0 if value < 0.2 else value for value in latest]


async def test_without_a_fleet_it_says_so(tmp_path: Path) -> None:
    code, said = await told("stall", "--pump", "p000001", "--control", tmp_path)

    assert code == 2
    assert f"no fleet is running (none listens in {tmp_path})" in said


def test_the_socket_of_a_fleet_that_was_killed_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.sock").touch()

    assert "no fleet is running" in inject(tmp_path, Wanted("p000001", "stall")).problem
