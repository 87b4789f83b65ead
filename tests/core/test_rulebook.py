"""Which limits and priorities are in force, and what is wrong with a rulebook, by line."""

import pytest

from service.core.change import Condition, Priority
from service.core.limits import LIMITS
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, Problem, Rulebook, parse_rulebook
from tests.pumps import SENSOR

TEXT = """\
[stall]
missed_ul = 8

[priority]
under_delivery = "high"

[drug_class.baclofen.stall]
missed_ul = 6
[drug_class.opioid.priority]
reservoir_low = ["low", "low", "medium"]
"""


def parsed(text: str) -> Rulebook:
    found = parse_rulebook(text)
    assert isinstance(found, Rulebook)
    return found


def test_a_drug_class_overrides_the_rulebook_which_overrides_the_defaults() -> None:
    rulebook = parsed(TEXT)
    assert rulebook.limit("stall", "missed_ul", DrugClass.BACLOFEN) == 6
    assert rulebook.limit("stall", "missed_ul", DrugClass.OPIOID) == 8
    assert rulebook.limit("stall", "for_s", DrugClass.BACLOFEN) == LIMITS["stall"]["for_s"].default
    assert rulebook.limits_row(SENSOR)["stall_missed_ul"] == 6


def test_priority_depends_on_condition_drug_class_and_step() -> None:
    assert DEFAULT_RULEBOOK.priority(Condition.STALL, DrugClass.BACLOFEN, 1) is Priority.HIGH
    assert DEFAULT_RULEBOOK.priority(Condition.STALL, DrugClass.ZICONOTIDE, 1) is Priority.MEDIUM
    assert DEFAULT_RULEBOOK.priority(Condition.RESERVOIR_LOW, DrugClass.UNKNOWN, 3) is Priority.HIGH
    assert DEFAULT_RULEBOOK.priority(Condition.RESERVOIR_LOW, DrugClass.UNKNOWN, 1) is Priority.LOW
    rulebook = parsed(TEXT)
    assert rulebook.priority(Condition.RESERVOIR_LOW, DrugClass.OPIOID, 3) is Priority.MEDIUM
    assert rulebook.priority(Condition.UNDER_DELIVERY, DrugClass.OPIOID, 1) is Priority.HIGH


@pytest.mark.parametrize("drug_class", DrugClass)
@pytest.mark.parametrize("condition", Condition)
def test_every_condition_has_a_priority_and_says_what_to_do(condition: Condition, drug_class: DrugClass) -> None:
    priorities = [DEFAULT_RULEBOOK.priority(condition, drug_class, step) for step in (1, 2, 3)]
    assert [priority.rank for priority in priorities] == sorted(priority.rank for priority in priorities)
    assert DEFAULT_RULEBOOK.do_now(condition)


def test_a_version_names_the_text() -> None:
    assert parsed(TEXT).version == parsed(TEXT).version != DEFAULT_RULEBOOK.version


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[stall]\n\nmissed_ul = -1", 3, "stall.missed_ul: -1 is outside 1 to 100 µL"),
        ("[stall]\nmissed_ul = nan", 2, "is outside"),
        ("[stall]\nmissed_ul = true", 2, "expected a number (µL)"),
        ("[stall]\nmised_ul = 3", 2, "no such limit; known are missed_ul"),
        ("stall.missed_ul = 1000", 1, "is outside"),
        ("\n[stal]\nx = 1", 2, "stal: no such condition"),
        ("stall = 3", 1, "expected a table"),
        ("[drug_class.aspirin.stall]\nmissed_ul = 3", 1, "no such drug class"),
        ("[drug_class.baclofen.stall]\n# comment\nfor_s = 1", 3, "drug_class.baclofen.stall.for_s: 1 is outside"),
        ("[priority]\nstall = 'urgent'", 2, "expected one of high, medium, low"),
        ("[priority]\nreservoir_low = 'low'", 2, "expected a list of 3"),
        ("[priority]\nstal = 'low'", 2, "no such condition"),
        ("[stall]\nmissed_ul = ", 2, "Invalid value"),
        ("[stall", 1, "Expected ']'"),
        ('x = """', 1, "Unterminated"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, said: str) -> None:
    problems = parse_rulebook(text)
    assert isinstance(problems, list)
    assert problems[0].line == line
    assert said in problems[0].message


def test_every_mistake_is_named_not_only_the_first() -> None:
    problems = parse_rulebook("[stall]\nmissed_ul = -1\nfor_s = 'long'\n[reservoir_low]\nlow_d = 1000")
    assert [problem.line for problem in problems if isinstance(problem, Problem)] == [2, 3, 5]


def test_every_default_is_within_its_own_range() -> None:
    for section, limits in LIMITS.items():
        for name, limit in limits.items():
            assert limit.least <= limit.default <= limit.most, f"{section}.{name}"


def test_silence_waits_for_three_intervals_but_never_less_than_its_floor() -> None:
    assert DEFAULT_RULEBOOK.silence_after_s(60) == 180
    assert DEFAULT_RULEBOOK.silence_after_s(1) == 20
