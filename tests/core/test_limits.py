"""Every limit is documented with its default, unit and range, as it is in force."""

from pathlib import Path

import pytest

from service.core.change import Condition
from service.core.limits import LIMITS
from service.core.rulebook import Rulebook, parse_rulebook
from tests.pumps import Pumps, readings

RULES = Path("docs/rules.md").read_text(encoding="utf-8")


def test_the_table_of_limits_is_the_one_in_force() -> None:
    for section, limits in LIMITS.items():
        for name, limit in limits.items():
            span = f"{limit.least:g} … {limit.most:g}"
            assert f"| `{section}.{name}` | {limit.default:g} | {limit.unit} | {span} | {limit.meaning} |" in RULES


def test_every_condition_has_its_row() -> None:
    assert [condition for condition in Condition if f"| `{condition}` |" not in RULES] == []


LAXEST = """
[stall]
missed_ul = 100
for_s = 86400
below_fraction = 0.15
[over_delivery_gross]
reference = 0.9
decision = 60
floor_ml_d = 0.2
burst_ul = 1000
burst_ratio = 1000
[reservoir_empty]
volume_ml = 0.1
measured_steps = 60
"""


@pytest.mark.parametrize(
    ("condition", "program_ml_d", "flow_ml_d", "reservoir_ml", "hours"),
    [
        ("stall", 0.1, 0.008, 18.0, 36),  # what noise makes of no flow
        ("over_delivery_gross", 0.05, 0.6, 18.0, 24),
        ("over_delivery_gross", 0.5, 1.2, 18.0, 24),
        ("reservoir_empty", 0.5, 0.5, 0.0, 2),
    ],
)
def test_what_cannot_be_switched_off_cannot_be_tuned_away_either(
    condition: str, program_ml_d: float, flow_ml_d: float, reservoir_ml: float, hours: int
) -> None:
    rulebook = parse_rulebook(LAXEST)
    assert isinstance(rulebook, Rulebook)
    pumps = Pumps(rulebook=rulebook)
    share = flow_ml_d / program_ml_d
    pumps.take(readings(60 * hours, flow=share, program_ml_d=program_ml_d, reservoir_ml=reservoir_ml))
    assert (condition, "began") in pumps.told
