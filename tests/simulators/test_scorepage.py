"""The committed page of the score says what the committed score says."""

import json
from pathlib import Path

import pytest

from simulators.scorepage import page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_the_one_of_the_committed_score() -> None:
    score = json.loads((DOCS / "measurements" / "score.json").read_text())
    assert (DOCS / "score.md").read_text() == page(score)


def test_every_fault_of_the_score_has_its_rows_and_a_missing_delay_is_a_dash() -> None:
    score = json.loads((DOCS / "measurements" / "score.json").read_text())
    text = page(score).partition("## Faults")[2]
    for name, fault in score["faults"].items():
        assert text.count(f"| `{name}` |") == len(fault["by_model"])
    leak = next(line for line in text.splitlines() if line.startswith("| `catheter_leak`"))
    assert leak.endswith("| - | - | - | - |")


@pytest.mark.parametrize("word", ["False alerts", "Faults", "pump-hours", "not for clinical use"])
def test_it_says_what_it_is(word: str) -> None:
    assert word in (DOCS / "score.md").read_text()
