"""The default rulebook on a labelled fleet: the gate through which every change of a rule has to go."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.trial import Trial, TrialError, run

SEED = 2026  # no limit was tuned on it
PUMP_HOURS = 200_000
CAP_COSTS_H = 2.0  # a shift is decided by two hours at least
SHIFTS = ("over_delivery", "over_infusion", "under_delivery", "occlusion_partial")


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("score") / "score.json"
    asked = ["--pump-hours", str(PUMP_HOURS), "--each", "3", "--seed", str(SEED), "--json", str(path)]
    subprocess.run([sys.executable, "-m", "simulators", "score", *asked], check=True, capture_output=True)
    result: dict[str, Any] = json.loads(path.read_text())
    assert result["pump_hours"] >= PUMP_HOURS
    return result


def test_every_fault_that_is_due_is_found(score: dict[str, Any]) -> None:
    assert {name: of["missed_examples"] for name, of in score["faults"].items() if of["missed"]} == {}
    assert sum(of["due"] for of in score["faults"].values()) >= 75
    assert score["faults"]["catheter_leak"]["not_observable"] == 3


def test_false_alerts_are_as_rare_as_promised(score: dict[str, Any]) -> None:
    rates = score["false_alerts_per_pump_year"]
    assert rates["high_medium"]["count"] == 0, score["false_examples"]
    assert rates["low"]["upper_95"] <= 0.5, score["false_examples"]
    assert (score["burden"]["chattering"], score["burden"]["floods"]) == (0, 0)


def test_stalls_and_shifts_are_found_about_as_soon_as_can_be(score: dict[str, Any]) -> None:
    faults = score["faults"]
    assert faults["stall"]["delay_over_bound"] <= 1.3
    late = {
        name: faults[name]
        for name in SHIFTS
        if faults[name]["median_delay_h"] > 1.3 * faults[name]["bound_h"] + CAP_COSTS_H
    }
    assert late == {}


def test_what_ends_the_rules_ends_the_trial_with_their_words(tmp_path: Path) -> None:
    rulebook = tmp_path / "wrong.toml"
    rulebook.write_text("[stall]\nmissed_ul = -1\n")
    trial = Trial(rulebook=rulebook, pump_hours=10, seed=1, each=0)
    with pytest.raises(TrialError, match=r"wrong\.toml:2: stall\.missed_ul"):
        run(trial, lambda _what, _share: None)
