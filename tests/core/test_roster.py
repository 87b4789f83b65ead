"""Contacts, rotas, policies and rules: their form, what they name, and whom they reach."""

from typing import Any

import pytest

from service.core.policy import Policy, Rule, Step
from service.core.roster import Contact, Document, Roster, document_problems, parse, used_by

ROSTER = Roster(
    contacts={"ada": Contact(name="ada", endpoints=("phone",))},
    policies={"ward": Policy(name="ward", steps=(Step(after_s=0, targets=("contact:ada",)),))},
    rules=[Rule(policy="ward")],
)


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("policy", {"name": "ward", "steps": []}, "steps"),
        ("policy", {"name": "ward"}, "policy"),
        ("policy", {"name": "ward", "steps": [{"after_s": 0, "targets": ["desk"]}]}, "steps[0].targets[0]"),
        ("policy", {"name": "ward", "steps": [{"after_s": -1, "targets": ["endpoint:*"]}]}, "steps[0].after_s"),
        ("contact", {"name": "ada", "endpoints": []}, "endpoints"),
        ("rota", {"name": "n", "time_zone": "UTC", "contacts": ["a"], "begins_on": "30.2."}, "begins_on"),
        ("rules", {"rules": [{"policy": "ward", "priority": "urgent"}]}, "rules[0].priority"),
        ("rules", {"rules": [{"policy": "ward", "prio": "high"}]}, "rules[0]"),
        ("rules", [], "rules"),
    ],
)
def test_a_mistake_of_form_is_named_with_its_field(kind: str, given: Any, field: str) -> None:
    document, [(where, what)] = parse(kind, given)
    assert document is None
    assert where == field
    assert what


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("policy", {"name": "day", "steps": [{"after_s": 0, "targets": ["endpoint:*"]}]}, "name"),
        ("policy", {"name": "it", "steps": [{"after_s": 0, "targets": ["endpoint:pager"]}]}, "steps[0].targets"),
        ("contact", {"name": "it", "endpoints": ["pager"]}, "endpoints"),
        ("rota", {"name": "it", "time_zone": "Mars/Base", "contacts": ["ada"], "begins_on": "2026-11-23"}, "time_zone"),
        ("rules", {"rules": [{"policy": "gone"}]}, "rules[0].policy"),
        ("rules", {"rules": [{"policy": "ward", "site": "nowhere"}]}, "rules[0].site"),
    ],
)
def test_what_it_names_must_exist(kind: str, given: Any, field: str) -> None:
    document, problems = parse(kind, given)
    assert document is not None, problems
    assert [where for where, _ in document_problems("it", document, ROSTER, ["phone"], ["north"])] == [field]


def test_what_is_named_elsewhere_is_said_before_it_is_deleted() -> None:
    assert used_by("contact", "ada", ROSTER) == ["policy ward"]
    assert used_by("policy", "ward", ROSTER) == ["the rules"]
    assert used_by("rota", "night", ROSTER) == []


def test_a_roster_of_documents_reaches_the_endpoints_behind_its_targets() -> None:
    documents: list[tuple[str, str, Document]] = [("contact", "ada", ROSTER.contacts["ada"])]
    roster = Roster.of(documents, {})
    from_targets = roster.endpoints(["contact:ada", "endpoint:desk", "contact:gone", "rota:gone"], None)
    assert from_targets == {"phone", "desk"}
    assert roster.endpoints(["endpoint:desk", "endpoint:*"], None) is None
