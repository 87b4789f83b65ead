"""docs/runbook.md: whoever is woken by the service finds what to do."""

import re

from dashboards.alerting import RULES
from service.core.change import KINDS, Kind
from tests.deploy.conftest import ROOT

PAGE = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")


def test_every_technical_condition_and_every_rule_has_its_entry() -> None:
    entries = re.findall(r"^### (\w+)\n(?=\S)", PAGE, re.MULTILINE)
    technical = {str(condition) for condition, kind in KINDS.items() if kind is Kind.TECHNICAL}
    assert sorted(entries) == sorted([*technical, *(rule.name for rule in RULES)])


def test_each_rule_leads_to_its_entry() -> None:
    rules = (ROOT / "deploy/prometheus/pumpwatch.rules.yml").read_text(encoding="utf-8")
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"docs/runbook\.md#(\w+)", rules)) <= anchors
    assert rules.count("docs/runbook.md#") == len(RULES)
