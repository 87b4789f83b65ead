"""What a pump of a model can show, and that the page says the same."""

from pathlib import Path

import pytest

from service.core.change import NOT_OF_A_PUMP, Condition
from service.core.observability import SEEN, is_available, matrix
from service.core.state import DECIDED

ROTOR = {"flow_channel": "rotor", "reservoir_channel": "computed", "bolus_cap": False}
SENSOR = {"flow_channel": "sensor", "reservoir_channel": "sensor", "bolus_cap": True}


def unavailable(pump: dict[str, object]) -> set[Condition]:
    return {condition for condition in Condition if not is_available(condition, **pump)}


def test_the_table_speaks_of_every_condition_that_the_fold_decides() -> None:
    assert set(SEEN) == set(DECIDED)


def test_a_pump_that_measures_everything_can_show_everything() -> None:
    assert unavailable(SENSOR) == set()


@pytest.mark.parametrize(
    ("lacks", "conditions"),
    [
        ({"flow_channel": "rotor"}, {Condition.OVER_DELIVERY, Condition.OVER_DELIVERY_GROSS}),
        ({"reservoir_channel": "computed"}, {Condition.LEVEL_DEVIATION}),
        ({"bolus_cap": False}, {Condition.BOLUS_CAP, Condition.BOLUS_DENIED}),
    ],
)
def test_what_a_model_lacks_takes_just_the_conditions_that_need_it(
    lacks: dict[str, object], conditions: set[Condition]
) -> None:
    assert unavailable(SENSOR | lacks) == conditions
    assert conditions <= unavailable(ROTOR)


def test_the_page_shows_the_table_as_it_is_in_force() -> None:
    assert "\n".join(matrix()) in Path("docs/rules.md").read_text(encoding="utf-8")


def test_every_condition_of_a_pump_has_its_row() -> None:
    rows = "\n".join(matrix())
    assert [
        condition for condition in Condition if condition not in NOT_OF_A_PUMP and f"`{condition}`" not in rows
    ] == []
