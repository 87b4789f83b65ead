"""A fleet publishes its last day fast, then lives in real time, and ends in order."""

import asyncio
import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from simulators.blocks import Shard
from simulators.broker import broker_of
from simulators.faults import Fault, Kind
from simulators.plan import BOOTS_SINCE_MS, Plan, boot_at
from simulators.progress import Steps
from simulators.run import run_fleet
from simulators.wire import Encoding
from tests.servers import eventually
from tests.simulators.desk import Desk


@pytest.fixture
def desk(nats_url: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    desk = Desk(nats_url, f"desk-{request.node.name}"[:60])
    assert desk.subscribed.wait(10)
    yield desk
    desk.close()


def of_fleet(desk: Desk, prefix: str) -> dict[str, list[dict[str, Any]]]:
    """The fleet's messages by pump, with when they came."""
    found: dict[str, list[dict[str, Any]]] = {}
    for pump_id, message in desk.messages:
        if pump_id.startswith(prefix):
            found.setdefault(pump_id, []).append(message)
    return found


async def test_backlog_then_live_and_no_stamp_is_ahead_of_our_clock(nats_url: str, desk: Desk, tmp_path: Path) -> None:
    plan = Plan(
        broker=broker_of(nats_url),
        pumps=20,
        prefix="run-",
        backlog_hours=2,
        readings_a_message=60,
        live_s=2.0,
        interval_s=0.2,
        faults="stall,under_delivery",
        labels=tmp_path / "labels.json",
        registry=tmp_path / "fleet.csv",
        report=tmp_path / "report.json",
        drain_s=20,
    )
    with Steps() as steps:
        report = await run_fleet(plan, steps)
    messages = of_fleet(desk, "run-")

    assert report.is_complete
    assert report.tally["receipted_items"] == sum(len(desk.kept[pump_id]) for pump_id in messages)
    assert set(messages) == {f"run-{number:06d}" for number in range(1, 21)}
    for of_pump in messages.values():
        telemetry = [message for message in of_pump if "flow_ml_d" in message]
        assert 1 <= len(telemetry[0]["time_ms"]) <= 60
        assert len(telemetry) >= 10
        stamps = [stamp for message in telemetry for stamp in message["time_ms"]]
        assert stamps == sorted(stamps)
        assert stamps[-1] - report.live_from_ms >= 1800
        assert all(message["simulated"] is True for message in of_pump)
        assert all(message["boot"] == report.boot for message in of_pump)
    assert all(stamp <= received for stamp, received in _received(desk, "run-"))
    labels = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert [label["fault"] for label in labels] == ["under_delivery", "stall"]
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["tally"] == report.tally
    assert len((tmp_path / "fleet.csv").read_text(encoding="utf-8").splitlines()) == 21


def _received(desk: Desk, prefix: str) -> Iterator[tuple[int, int]]:
    for (pump_id, message), received_ms in zip(desk.messages, desk.received_ms, strict=True):
        if pump_id.startswith(prefix):
            stamps = message["time_ms"]
            yield (stamps[-1] if isinstance(stamps, list) else stamps), received_ms


async def test_silence_and_a_gap_happen_live_and_what_a_gap_held_back_comes_as_one_message(
    nats_url: str, desk: Desk, tmp_path: Path
) -> None:
    live_from_ms = time.time_ns() // 1_000_000
    plan = Plan(
        broker=broker_of(nats_url),
        pumps=6,
        prefix="gap-",
        backlog_hours=0.1,
        live_s=3.0,
        interval_s=0.1,
        start_ms=live_from_ms - 360_000,
        labels=tmp_path / "labels.json",
        drain_s=20,
    )
    faults = [
        Fault(2, Kind.SILENCE, live_from_ms + 500),
        Fault(3, Kind.LINK_GAP, live_from_ms + 500, live_from_ms + 1500),
    ]
    with Steps() as steps:
        report = await run_fleet(plan, steps, faults)
    labels = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    gone, away = (next(label for label in labels if label["fault"] == kind) for kind in ("silence", "link_gap"))
    messages = of_fleet(desk, "gap-")

    assert report.is_complete
    assert report.unreachable_items > 15
    last_heard_ms = messages[gone["pump_id"]][-1]["time_ms"][-1]
    assert abs(gone["onset_ms"] - last_heard_ms) <= 5  # a pump's own clock drifts a little
    assert gone["due_ms"] == gone["onset_ms"] + 25_000
    sizes = [len(message["time_ms"]) for message in messages[away["pump_id"]] if "flow_ml_d" in message]
    assert 5 <= max(sizes[1:]) <= 15
    assert sorted(sizes[1:])[-2] <= 4


async def test_a_fleet_that_is_told_to_stop_ends_in_order(nats_url: str, desk: Desk, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    fleet = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "fleet", "--broker", nats_url, "--pumps", "5", "--prefix", "stop-"),
        *("--backlog-hours", "0.1", "--live-s", "3600", "--interval", "0.2", "--report", report, "--faults", "none"),
        stderr=asyncio.subprocess.PIPE,
    )
    await eventually(lambda: len(of_fleet(desk, "stop-").get("stop-000005", [])) > 5, 30)
    fleet.send_signal(signal.SIGTERM)
    _, said = await fleet.communicate()

    assert fleet.returncode == 0, said
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["held_items"] == 0
    assert told["ended_ms"] <= time.time() * 1000
    assert b"5 pumps" in said
    await eventually(lambda: desk.statuses.get("stop-000005") is False)


async def test_the_same_payloads_at_speed_1_and_1000_in_one_process_or_two(nats_url: str, tmp_path: Path) -> None:
    """Backlog, live, a stall and a gap: the journal has each payload as it was published, without `held_from`."""
    start_ms = 1_795_290_526_000
    base = Plan(
        broker=broker_of(nats_url),
        pumps=11,
        prefix="same-",
        backlog_hours=0.5,
        live_s=4.0,
        interval_s=0.25,
        start_ms=start_ms,
        encodings=(Encoding.JSON, Encoding.MSGPACK),
        drain_s=0,
    )
    live_ms = start_ms + 1_800_000
    faults = [Fault(2, Kind.STALL, start_ms + 600_000), Fault(8, Kind.LINK_GAP, live_ms + 1000, live_ms + 2000)]
    runs = {
        "speed 1": [replace(base, speed=0.0)],  # of the live part: its backlog comes as fast as it may
        "speed 1000": [replace(base, speed=1000.0)],
        "two processes": [replace(base, speed=1000.0, shard=Shard(number, 2)) for number in (1, 2)],
        "one connection each": [replace(base, speed=1000.0, connections="pump")],
    }
    sent = {}
    for name, plans in runs.items():
        payloads: dict[str, Any] = defaultdict(sha256)
        for number, plan in enumerate(plans):
            journal = tmp_path / f"{name}{number}"
            with Steps() as steps:
                await run_fleet(replace(plan, journal=journal), steps, faults)
            for line in journal.read_bytes().splitlines():
                if line.startswith(b'{"kind":"measured"'):
                    entry = json.loads(line)
                    payloads[entry["pump_id"]].update(line[line.index(b'"message":') :])
        sent[name] = {pump_id: found.hexdigest() for pump_id, found in payloads.items()}

    assert len(sent["speed 1"]) == 11
    for name in runs:
        assert sent[name] == sent["speed 1"], name


def test_a_later_run_is_a_later_boot() -> None:
    assert boot_at(BOOTS_SINCE_MS) == 1
    assert boot_at(BOOTS_SINCE_MS + 3_600_000) == 61
    assert boot_at(0) == 1
    assert boot_at(10**14) == (1 << 22) - 1
