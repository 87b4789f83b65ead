"""Every limit is documented with its default, unit and range, as it is in force."""

from pathlib import Path

from service.core.change import Condition
from service.core.limits import LIMITS

RULES = Path("docs/rules.md").read_text(encoding="utf-8")


def test_the_table_of_limits_is_the_one_in_force() -> None:
    for section, limits in LIMITS.items():
        for name, limit in limits.items():
            span = f"{limit.least:g} … {limit.most:g}"
            assert f"| `{section}.{name}` | {limit.default:g} | {limit.unit} | {span} | {limit.meaning} |" in RULES


def test_every_condition_has_its_row() -> None:
    assert [condition for condition in Condition if f"| `{condition}` |" not in RULES] == []
