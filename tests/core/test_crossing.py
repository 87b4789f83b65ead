"""What decided an alert, read from its evidence."""

from service.core.change import Condition
from service.core.crossing import CROSSED, crossings_in, limits_in, quantity_of, statistics_in
from service.core.limits import LIMITS


def test_every_limit_that_is_compared_is_one_of_its_condition() -> None:
    assert {(c, limit) for c, pairs in CROSSED.items() for _, limit in pairs if limit not in LIMITS[c]} == set()


def test_what_crossed_is_said_with_its_unit_where_both_sides_were_kept() -> None:
    evidence = {"empty_in_d": 1.5, "limit_low_d": 14.0, "left_ml": 3.0, "step": 2, "note": "x", "readings": {}}
    (crossed,) = crossings_in(Condition.RESERVOIR_LOW, evidence)
    assert (crossed.statistic, crossed.value, crossed.limit, crossed.limit_value) == ("empty_in_d", 1.5, "low_d", 14.0)
    assert crossed.unit == "d"
    assert [limit.name for limit in limits_in(Condition.RESERVOIR_LOW, evidence)] == ["low_d"]
    assert statistics_in(evidence) == {"empty_in_d": 1.5, "left_ml": 3.0, "step": 2, "note": "x"}


def test_a_condition_is_shown_by_what_was_measured_of_it() -> None:
    assert quantity_of(Condition.STALL) == "flow_ml_d"
    assert quantity_of(Condition.RESERVOIR_LOW) == "reservoir_ml"
    assert quantity_of(Condition.BATTERY_LOW) == "battery_v"
