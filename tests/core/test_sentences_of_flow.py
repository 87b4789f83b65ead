"""What is said of a pump whose flow is not as it should be."""

import pytest

from service.core.change import Condition, Turn
from service.core.lifecycle import begin
from service.core.sentences import what_is_wrong
from tests.episodes import at, given, turned

MRI = {"flow_ml_d": 0.0, "missed_ul": 16.3, "in_mri": 1.0}
MISSED = "The motor has not advanced since 19:10 UTC although 0.5 mL/d is programmed: about 16.3 µL have been missed."
SAID = [
    (Condition.STALL, MRI | {"mri_phase": 1.0, "mri_since_ms": 0.0}, f"{MISSED} An MRI explains it so far."),
    (
        Condition.STALL,
        MRI | {"mri_phase": 0.0, "mri_since_ms": 420_000.0},
        f"{MISSED} 7 min after the MRI it has not restarted.",
    ),
    (
        Condition.STALL,
        MRI | {"mri_phase": 0.0, "mri_since_ms": 0.0},
        f"{MISSED} It began in an MRI, which no longer explains it.",
    ),
    (
        Condition.STALL,
        {"flow_ml_d": None, "in_mri": 0.0},
        "The pump itself says that its motor stands still, since 19:10 UTC.",
    ),
    (
        Condition.STALL_FLUTTER,
        {"limit_episodes": 3.0, "limit_window_s": 86_400.0},
        "The motor has stopped and recovered 3 times within 24 h, the first time at 19:10 UTC.",
    ),
    (
        Condition.UNDER_DELIVERY_GROSS,
        {"flow_ml_d": 0.12},
        "The pump has delivered far less than programmed since 19:10 UTC: 0.12 mL/d where 0.5 mL/d is programmed.",
    ),
    (
        Condition.FLOW_WHILE_STOPPED,
        {"flow_ml_d": 0.4, "delivered_ul": 0.79},
        "The pump has delivered 0.79 µL since 19:10 UTC although nothing is programmed (0.4 mL/d at last).",
    ),
]


@pytest.mark.parametrize(("condition", "evidence", "sentence"), SAID)
def test_what_is_wrong_is_said_with_its_numbers_and_times(
    condition: Condition, evidence: dict[str, float], sentence: str
) -> None:
    alert = begin(turned(Turn.BEGAN, 30, condition, began=10, **evidence), None, given(31)).alert
    assert what_is_wrong(alert, at(31)) == sentence
