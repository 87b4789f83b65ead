"""Every scenario, through the service's own rules: what must be raised is raised in time, and nothing else is.

All scenarios are one stream, a pump or a site each, and run once.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from simulators.faults import Kind
from simulators.fleet import write_registry
from simulators.scenario import Scenario, packaged, scenario_named

PIPED_S = 540.0
HOUR_MS = 3_600_000
LONG_MS = 7 * 24 * HOUR_MS


Raised = Mapping[str, list[dict[str, Any]]]
"""By pump, or `site:NAME`."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Raised:
    """Two streams at once: one of hours and days, and one of weeks, in which the others would only be silent."""
    folder = tmp_path_factory.mktemp("scenarios")
    short = [name for name in packaged() if _lasts_ms(scenario_named(name)) <= LONG_MS]
    alerts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with ExitStack() as stack:
        running = [_backtest(stack, folder, names) for names in (short, sorted({*packaged()} - {*short}))]
        for generating, judging in running:
            found = json.loads(judging.communicate(timeout=PIPED_S)[0])["alerts"]
            assert (generating.wait(timeout=PIPED_S), judging.returncode) == (0, 0)
            for alert in found:
                alerts[alert["pump_id"] or alert["subject"]].append(alert)
    return alerts


def _lasts_ms(scenario: Scenario) -> int:
    return scenario.timeline.end_ms - scenario.timeline.start_ms


def _backtest(
    stack: ExitStack, folder: Path, names: list[str]
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """`pumpsim generate --scenario … | pumpwatch rules backtest --from -`."""
    registry = folder / f"{names[0]}.csv"
    with registry.open("w", encoding="utf-8") as file:
        fleet = [pump for name in names for pump in scenario_named(name).fleet]
        write_registry(fleet, file, scenario_named(names[0]).timeline.start_ms)
    chosen = [word for name in names for word in ("--scenario", name)]
    generating = subprocess.Popen(
        [sys.executable, "-m", "simulators", "generate", *chosen], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    stack.enter_context(generating)
    stack.callback(generating.kill)
    assert generating.stdout is not None
    backtest = ["rules", "backtest", "--from", "-", "--json", "--registry", str(registry)]
    judging = subprocess.Popen(
        [sys.executable, "-m", "service", *backtest], stdin=generating.stdout, stdout=subprocess.PIPE
    )
    stack.enter_context(judging)
    stack.callback(judging.kill)
    generating.stdout.close()  # it is the other's now
    return generating, judging


def raised_in(scenario: Scenario, played: Raised) -> list[dict[str, Any]]:
    """The alerts on the scenario's pumps, and on its site, until it ends: after that they only are not heard of."""
    of_whom = [*(pump.pump_id for pump in scenario.fleet), f"site:{scenario.fleet[0].site}"]
    return [
        alert for who in of_whom for alert in played.get(who, []) if alert["detected_ms"] <= scenario.timeline.end_ms
    ]


@pytest.mark.parametrize("name", packaged())
def test_a_scenario_raises_what_it_must_in_time_and_nothing_else(name: str, played: Raised) -> None:
    scenario = scenario_named(name)
    raised = raised_in(scenario, played)
    problems = [
        f"{alert['condition']} was raised after {(alert['detected_ms'] - scenario.timeline.start_ms) / HOUR_MS:.2f} h"
        for alert in raised
        if alert["condition"] not in scenario.allowed
    ]
    for expected in scenario.expect:
        from_ms = scenario.timeline.start_ms + expected.after_ms
        # An hour's statistic may begin, and a clock that jumps may put a reading, a little before.
        found = [
            alert
            for alert in raised
            if alert["condition"] == expected.condition
            and from_ms - HOUR_MS <= alert["detected_ms"] <= from_ms + expected.within_ms
        ]
        if not found:
            problems.append(f"{expected.condition} was not raised within {expected.within_ms / HOUR_MS:.2f} h")
        elif expected.priority and expected.priority not in {alert["priority"] for alert in found}:
            problems.append(f"{expected.condition} is not of {expected.priority} priority")
    assert problems == []


def test_a_fault_that_one_model_cannot_show_is_told_for_the_other() -> None:
    """What happens behind a rotor has a scenario of its own, in which nothing may be raised."""
    told: dict[Kind, set[bool]] = defaultdict(set)
    for scenario in map(scenario_named, packaged()):
        for fault in scenario.faults:
            told[fault.kind].add(scenario.fleet[0].sensor)
    unseen = {Kind.OCCLUSION, Kind.FREE_FLOW, Kind.EARLY_EMPTY, Kind.POCKET_FILL, Kind.OVER_DELIVERY}
    assert all(told[kind] == {False, True} for kind in unseen)
