"""The committed pages of the score say what the committed scores say, and so does the page of the rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.scorepage import measured, page

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("score", "score-tau24")


def score_of(name: str) -> dict[str, Any]:
    score: dict[str, Any] = json.loads((DOCS / "measurements" / f"{name}.json").read_text())
    return score


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_the_one_of_the_committed_score(name: str) -> None:
    assert (DOCS / f"{name}.md").read_text() == page(score_of(name))


def test_the_rules_say_of_each_condition_what_was_measured() -> None:
    assert measured(score_of("score")) in (DOCS / "rules.md").read_text()


def test_every_fault_of_the_score_has_its_rows_and_a_missing_delay_is_a_dash() -> None:
    score = score_of("score")
    text = page(score).partition("## Faults")[2]
    for name, fault in score["faults"].items():
        assert text.count(f"| `{name}` |") == len(fault["by_model"])
    leak = next(line for line in text.splitlines() if line.startswith("| `catheter_leak`"))
    assert leak.endswith("| - | - | - | - |")


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_score_reaches_what_is_promised(name: str) -> None:
    score = score_of(name)
    rates = score["false_alerts_per_pump_year"]
    assert rates["high_medium"]["upper_95"] <= 0.04
    assert rates["low"]["upper_95"] <= 0.5
    assert {fault: of["missed"] for fault, of in score["faults"].items() if of["missed"] > 1} == {}
    shifts = ("over_delivery", "over_infusion", "under_delivery", "occlusion_partial")
    ratios = {
        fault: score["faults"][fault]["delay_over_bound"] for fault in ("stall", "occlusion", "mri_late", *shifts)
    }
    assert {fault: ratio for fault, ratio in ratios.items() if ratio > 1.3} == {}


@pytest.mark.parametrize("word", ["False alerts", "Faults", "pump-hours", "not for clinical use"])
def test_it_says_what_it_is(word: str) -> None:
    assert word in (DOCS / "score.md").read_text()
