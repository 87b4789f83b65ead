"""A load ends by itself, tells what became of every reading, and shows it on a page that needs nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from simulators.broker import broker_of
from simulators.clinic import Behaviour, Clinic, Received
from simulators.faults import Kind
from simulators.load import Losses, losses_of, run_load, stalls_of, way_of
from simulators.page import page_of
from simulators.plan import Plan
from simulators.profiles import Stage, stages_of
from simulators.progress import Steps
from simulators.samples import MOST_SAMPLES, Sampler
from tests.simulators.desk import Desk

VOID = {"meta", "line", "circle", "polyline", "br"}


@pytest.fixture
def desk(nats_url: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    desk = Desk(nats_url, re.sub(r"\W", "-", f"desk-{request.node.name}")[:60])
    assert desk.subscribed.wait(10)
    yield desk
    desk.close()


class Whole(HTMLParser):
    """Holds a page to closing what it opens, and to fetching nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        assert not {name for name, _ in attrs} & {"src", "href", "onclick", "onload"}
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("profile", ["ramp", "burst"])
async def test_a_load_ends_by_itself_and_tells_what_became_of_every_reading(
    profile: str, nats_url: str, desk: Desk, tmp_path: Path
) -> None:
    plan = Plan(
        broker=broker_of(nats_url),
        pumps=70,
        prefix=f"load-{profile}-",
        interval_s=0.5,
        connections="pump",
        backlog_hours=2 if profile == "burst" else 0,
        backlog_pumps=None if profile == "burst" else 0,
        faults="none",
        stages=stages_of(profile, 4.0, 5.0),
        registry=tmp_path / "fleet.csv",
        drain_s=20,
    )
    with Steps() as steps:
        report = await run_load(plan, profile, 0, None, steps)
    kept = {pump_id: of_pump for pump_id, of_pump in desk.kept.items() if pump_id.startswith(plan.prefix)}

    assert report.is_complete
    assert len(kept) == 70
    assert report.losses.measured == report.losses.receipted == sum(len(of_pump) for of_pump in kept.values())
    assert report.run.tally["connects"] == 70
    sizes = [len(of_pump) for of_pump in kept.values()]
    if profile == "ramp":
        assert min(sizes) < max(sizes) - 2
    else:
        assert min(sizes) >= 120
    page = Whole()
    page.feed(text := page_of(report))
    assert page.open == []
    assert page.seen.count("figure") == 6
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text
    assert "http" not in text.replace("https://www.w3.org", "")


@pytest.mark.parametrize("expected_s", [10.0, 300.0, 86_400.0])
def test_a_load_of_any_length_has_points_enough_and_not_too_many(expected_s: float) -> None:
    run: Any = SimpleNamespace(stage="hold")
    every_s = Sampler(run, expected_s)._every_s

    assert every_s >= 1.0
    assert min(expected_s, MOST_SAMPLES) / 2 <= expected_s / every_s <= MOST_SAMPLES


def test_losses_are_what_is_neither_receipted_nor_held_nor_let_go() -> None:
    tally = {
        "measured_readings": 90,
        "measured_events": 10,
        "receipted_items": 80,
        "given_up_items": 3,
        "overwritten_items": 4,
    }
    report: Any = SimpleNamespace(tally=tally, held_items=5, unreachable_items=6)

    assert losses_of(report) == Losses(measured=100, receipted=80, held=11, let_go=7, unaccounted=2)


def test_stalls_are_known_only_while_the_fleet_is_live() -> None:
    plan = Plan(
        broker=broker_of("mqtt://127.0.0.1"),
        pumps=100,
        backlog_hours=2,
        backlog_pumps=40,
        stages=(Stage("hold", 600.0),),
        start_ms=1_795_290_526_000,
        interval_s=60,
    )
    stalls = stalls_of(plan, 5)

    assert len(stalls) == 5
    assert len({stall.pump for stall in stalls}) == 5
    assert all(stall.kind is Kind.STALL and stall.pump < 40 for stall in stalls)
    live_from_ms = 1_795_290_526_000 + 7_200_000
    assert all(stall.onset_ms < live_from_ms - 15 * 60_000 for stall in stalls)
    assert stalls_of(replace(plan, backlog_pumps=0), 0) == []


async def test_the_way_to_the_webhook_begins_when_the_reading_was_sent() -> None:
    """One stall is told in time, one was known before the fleet was live, and one is nobody's of ours."""
    began_ms = 1_795_290_526_000
    run: Any = SimpleNamespace(
        faults=[SimpleNamespace(pump=0), SimpleNamespace(pump=1)],
        fleet=[SimpleNamespace(pump_id="p1"), SimpleNamespace(pump_id="p2")],
        live_began_ms=began_ms,
        reach=SimpleNamespace(told={0: [(began_ms - 60_000, 0), (began_ms + 400, began_ms + 900)], 1: [(0, 0)]}),
    )
    clinic = Clinic(["whsec_AAAA"], Behaviour(), record=None)
    for pump_id, detected_ms in (("p1", began_ms), ("p2", began_ms - 60_000), ("p3", began_ms)):
        detected_at = datetime.fromtimestamp(detected_ms // 1000, tz=UTC).isoformat()
        told = {"pump_id": pump_id, "condition": "stall", "detected_at": detected_at}
        body = {"type": "alert.activated", "data": told}
        clinic.requests.append(
            Received(
                received_ms=began_ms + 1100,
                webhook_id=pump_id,
                webhook_timestamp="",
                verified=True,
                problem="",
                status=204,
                first=True,
                body=json.loads(json.dumps(body)),
            )
        )

    way = await way_of(run, Plan(broker=broker_of("mqtt://127.0.0.1")), clinic)

    assert way.stalls == 2
    assert way.to_webhook_ms["max"] == pytest.approx(200, rel=0.06)
    assert way.to_alert_ms == {}
