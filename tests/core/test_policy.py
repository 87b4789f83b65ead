"""Policies: which one an alert has, what is wrong with one, and when low priority waits for the morning."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from service.core.change import Priority
from service.core.policy import FALLBACK, Policy, QuietHours, Rule, Step, policy_for, policy_problems, quiet_until
from service.core.reading import DrugClass

WARD = Policy(
    name="ward",
    steps=(
        Step(after_s=0, targets=("rota:night",)),
        Step(after_s=300, targets=("contact:head nurse", "endpoint:desk")),
    ),
)
ROME = ZoneInfo("Europe/Rome")
NIGHT = QuietHours(begins=time(22), ends=time(7))


def test_the_most_particular_rule_counts_and_without_one_everybody_is_told() -> None:
    policies = {name: msgspec.structs.replace(WARD, name=name) for name in ("ward", "north", "north-high", "baclofen")}
    rules = [
        Rule(policy="ward"),
        Rule(policy="north", site="north"),
        Rule(policy="north-high", site="north", priority="high"),
        Rule(policy="baclofen", drug_class=DrugClass.BACLOFEN),
        Rule(policy="gone", site="north", priority="high", drug_class=DrugClass.OPIOID),
    ]

    def chosen(site: str | None, drug_class: DrugClass, priority: Priority) -> str:
        return policy_for(rules, policies, site, drug_class, priority).name

    assert chosen("south", DrugClass.OPIOID, Priority.LOW) == "ward"
    assert chosen("north", DrugClass.OPIOID, Priority.HIGH) == "north-high"
    assert chosen("north", DrugClass.BACLOFEN, Priority.LOW) == "north"  # the first of two as particular
    assert chosen(None, DrugClass.BACLOFEN, Priority.HIGH) == "baclofen"
    assert policy_for([], policies, "north", DrugClass.OPIOID, Priority.HIGH) is FALLBACK


def test_mistakes_are_named_with_their_field() -> None:
    wrong = Policy(
        name="ward",
        steps=(Step(after_s=60, targets=("rota:day", "contact:*")), Step(after_s=60, targets=("endpoint:*",))),
        repeat_after_s=600,
        repeat_at_most_s=60,
        quiet=QuietHours(begins=time(7), ends=time(7)),
    )
    assert [field for field, _ in policy_problems(wrong, ["desk"], ["head nurse"], ["night"])] == [
        *("steps[0].targets", "steps[0].targets", "steps[1].after_s", "steps[0].after_s"),
        *("repeat_at_most_s", "quiet"),
    ]
    assert policy_problems(WARD, ["desk"], ["head nurse"], ["night"]) == []


@pytest.mark.parametrize(
    "given",
    [
        {"name": "x", "steps": []},
        {"name": "x", "steps": [{"after_s": 0, "targets": []}]},
        {"name": "x", "steps": [{"after_s": -1, "targets": ["endpoint:a"]}]},
        {"name": "x", "steps": [{"after_s": 0, "targets": ["mail:a"]}]},
        {"name": "x", "steps": [{"after_s": 0, "targets": ["endpoint:a"]}], "repeats": 3},
        {"name": "", "steps": [{"after_s": 0, "targets": ["endpoint:a"]}]},
    ],
)
def test_what_is_no_policy_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Policy)


def test_low_priority_waits_through_the_night_whatever_the_clocks_do() -> None:
    for evening in (datetime(2026, 6, 1, 22, tzinfo=ROME), datetime(2026, 10, 24, 22, tzinfo=ROME)):
        morning = (evening + timedelta(days=1)).replace(hour=7)
        assert quiet_until(NIGHT, Priority.LOW, ROME, evening - timedelta(seconds=1)) is None
        assert quiet_until(NIGHT, Priority.LOW, ROME, evening) == morning
        assert quiet_until(NIGHT, Priority.LOW, ROME, evening.replace(hour=23, minute=59)) == morning
        assert quiet_until(NIGHT, Priority.LOW, ROME, morning - timedelta(seconds=1)) == morning
        assert quiet_until(NIGHT, Priority.LOW, ROME, morning) is None
    assert quiet_until(NIGHT, Priority.MEDIUM, ROME, evening) is None
    assert quiet_until(None, Priority.LOW, ROME, evening) is None
