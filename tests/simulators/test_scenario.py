"""A scenario is read as a clinician wrote it, and one with mistakes is refused with all of them at once."""

import re
from pathlib import Path

import pytest

from simulators.expected import CONDITIONS
from simulators.faults import DECOYS, HOUR_MS, Kind
from simulators.scenario import ScenarioError, packaged, scenario_named, scenario_of, stream_of, text_of
from simulators.toml_lines import line_of, lines_of_keys
from simulators.units import duration_ms, quantity

STALL = '''title = "A stall"
description = """
It stands still.
at = "this is text and no key"
"""
lasts = "8 h"

[pump]
model = "rotor"
drug = "baclofen"
program = "0.5 mL/d"

[[timeline]]
at = "2 h"
what = "stall"
for = "3 h"

[[timeline]]
at = "6 h"
what = "over_delivery"
value = "140 %"

[[expect]]
condition = "stall"
priority = "high"
within = "35 min"
'''


def mistakes(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        scenario_of(text, "wrong.toml")
    return str(refused.value).splitlines()


def test_a_scenario_says_what_happens_and_what_must_come_of_it() -> None:
    read = scenario_of(STALL, "a-stall.toml", start_ms=0)

    assert (read.name, read.title, read.timeline.end_ms) == ("a-stall", "A stall", 8 * HOUR_MS)
    assert [(fault.kind, fault.onset_ms, fault.end_ms) for fault in read.faults] == [
        ("stall", 2 * HOUR_MS, 5 * HOUR_MS),
        ("over_delivery", 6 * HOUR_MS, None),
    ]
    assert read.faults[1].value * (1 + read.fleet[0].bias) == pytest.approx(1.4)
    assert read.expect == [("stall", "high", 2 * HOUR_MS, 35 * 60_000)]
    assert (read.fleet[0].program_ml_d, read.fleet[0].drug_class, read.fleet[0].sensor) == (0.5, "baclofen", False)
    assert read.allowed == {"stall"}


def test_every_mistake_is_named_with_its_line() -> None:
    wrong = (
        STALL.replace('lasts = "8 h"', 'last = "8 h"')
        .replace('program = "0.5 mL/d"', 'program = "0.5 mL/h"')
        .replace('what = "stall"', 'what = "explosion"')
        .replace('value = "140 %"', 'value = "1400 %"')
        .replace('condition = "stall"', 'condition = "boredom"')
        .replace('within = "35 min"', 'within = "35 parsecs"')
    )

    found = mistakes(wrong)

    assert [line.split(": ", 1)[0] for line in found] == [
        *("wrong.toml:1", "wrong.toml:6", "wrong.toml:11", "wrong.toml:15", "wrong.toml:21"),
        *("wrong.toml:24", "wrong.toml:26"),
    ]
    for line, what in zip(
        found,
        (
            "lasts is missing",
            "unknown key last; known are",
            "program: '0.5 mL/h' is not in mL/d; write for example '1 mL/d'",
            "what: 'explosion' is not known; known are stall, ",
            "value: 1400 % is not from 101 % to 500 %",
            "condition: 'boredom' is not known; known are stall, ",
            "within: '35 parsecs' is no duration; write",
        ),
        strict=True,
    ):
        assert what in line


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ('lasts = "8 h"', "lasts = ", "wrong.toml:6: Invalid value"),
        ('at = "6 h"', 'at = "9 h"', "wrong.toml:19: 9 h is not within the scenario"),
        ('what = "over_delivery"', 'what = "bolus_denied"', "wrong.toml:18: .*has no patient boluses"),
        ("[[expect]]", "[expect]", "wrong.toml:23: write \\[\\[expect\\]\\], once for each"),
        ('drug = "baclofen"', 'drug = "wine"', "wrong.toml:10: drug: 'wine' is not known; known are baclofen, "),
        ('model = "rotor"', 'model = "rotor"\nfilled = "30 mL"', "wrong.toml:10: filled: 30 mL is not from 0 to 20 mL"),
        ('lasts = "8 h"', 'lasts = "8 h"\nnever = ["stall"]', "wrong.toml:7: stall is expected or allowed, and must"),
        ('lasts = "8 h"', 'lasts = "8 h"\nmay = ["rain"]', "wrong.toml:7: 'rain' is no condition; known are"),
    ],
)
def test_a_mistake_is_said_in_words(written: str, instead: str, problem: str) -> None:
    found = mistakes(STALL.replace(written, instead))

    assert any(re.match(problem, line) for line in found), found


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(STALL, encoding="utf-8")

    assert scenario_named(str(file)).fleet[0].pump_id == "mine-1"
    with pytest.raises(OSError, match="nowhere"):
        scenario_named("nowhere.toml")


def test_there_is_a_scenario_for_every_fault_and_every_decoy_and_one_quiet_year() -> None:
    scenarios = {name: scenario_named(name) for name in packaged()}

    told = {fault.kind for scenario in scenarios.values() for fault in scenario.faults}
    assert told == set(Kind)
    expected = {each.condition for scenario in scenarios.values() for each in scenario.expect}
    rarely = {"under_delivery_gross", "level_deviation", "battery_end", "unregistered"}
    assert expected >= set(CONDITIONS) - rarely
    for name, scenario in scenarios.items():
        assert scenario.title
        assert len(scenario.description) > 20
        if {fault.kind for fault in scenario.faults} <= DECOYS:
            assert scenario.expect == [], name
    assert scenarios["quiet-year"].timeline.end_ms - scenarios["quiet-year"].timeline.start_ms == 365 * 24 * HOUR_MS


def test_a_scenario_has_the_same_stream_whenever_it_is_asked_for() -> None:
    once, again = (list(stream_of(scenario_named("stall"), 10).lines) for _ in range(2))

    assert once == again
    assert len(once) == 49


def test_lines_are_found_under_tables_and_not_within_texts() -> None:
    lines = lines_of_keys(STALL)

    assert (lines["pump", "program"], lines["timeline", 1, "at"], lines["expect", 0]) == (11, 19, 23)
    assert ("at",) not in lines
    assert line_of(lines, ("timeline", 1, "nowhere")) == 18


@pytest.mark.parametrize(
    ("text", "ms"), [("20 min", 1_200_000), ("1 h 30 min", 5_400_000), ("3 d", 259_200_000), ("-1 d", -86_400_000)]
)
def test_durations_are_written_with_their_unit(text: str, ms: int) -> None:
    assert duration_ms(text) == ms
    for wrong in (text + " or so", text.split(maxsplit=1)[0], "", 5):
        with pytest.raises(ValueError, match="is no duration"):
            duration_ms(wrong)


def test_quantities_are_in_the_unit_that_is_meant() -> None:
    assert (quantity("140 %", "%"), quantity("3 mL", "mL"), quantity("40 µL", "uL")) == (1.4, 3.0, 40.0)
    with pytest.raises(ValueError, match="'3 L' is not in mL"):
        quantity("3 L", "mL")


def test_a_packaged_scenario_is_shown_as_it_is_written() -> None:
    assert text_of("stall").startswith('title = "The rotor stands still')
