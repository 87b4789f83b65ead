"""Why an alert exists, as a picture and as a table: what was measured, the limit, the statistic that crossed it."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.change import Condition
from service.web.evidence_chart import chart, crossed, limit_lines, numbers, quantity_of, span_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
UNDER = {
    "cusum": 0.2,
    "limit_decision": 0.1,
    "limit_reference": 0.2225,
    "limit_rotor_reference": 0.08,
    "program_ml_d": 0.5,
}


def test_the_limit_that_is_drawn_is_that_of_the_pump() -> None:
    assert limit_lines(Condition.UNDER_DELIVERY, UNDER, "sensor") == {
        "Limit, below which it adds up": pytest.approx(0.5 * 0.7775)
    }
    assert limit_lines(Condition.UNDER_DELIVERY, UNDER, "rotor") == {
        "Limit, below which it adds up": pytest.approx(0.46)
    }
    stall = {"limit_below_fraction": 0.25, "readings": {"program_ml_d": [0.4, 0.6]}}
    assert limit_lines(Condition.STALL, stall, "rotor") == {"Limit, below which it counts as missed": 0.15}
    assert limit_lines(Condition.BATTERY_LOW, {"limit_low_v": 2.6}, "") == {"Limit": 2.6}
    assert limit_lines(Condition.BOLUS_DENIED, {}, "") == {}


def test_the_statistic_stands_beside_the_limit_that_it_crossed() -> None:
    ((what, value, limit),) = crossed(Condition.UNDER_DELIVERY, UNDER)
    assert (what, value, limit) == ("Deviation added up, hour by hour", "0.2 of program x h", "0.1 of program x h")
    assert crossed(Condition.DRILL, {}) == []


def test_every_number_is_kept_with_what_it_means() -> None:
    told = {name: (value, means) for name, value, means in numbers(Condition.UNDER_DELIVERY, UNDER | {"readings": {}})}
    assert told["Decision"] == ("0.1 of program x h", "the cumulative sum at which the condition begins")
    assert told["Cusum"] == ("0.2", "")
    assert len(told) == len(UNDER)


def test_each_condition_shows_what_was_measured_of_it() -> None:
    assert quantity_of(Condition.RESERVOIR_LOW).name == "reservoir_ml"
    assert quantity_of(Condition.BATTERY_LOW).name == "battery_v"
    assert quantity_of(Condition.STALL).name == "flow_ml_d"


def test_the_chart_has_what_was_before_the_readings_that_decided_and_the_limit_across_all() -> None:
    seen = (NOON, NOON + timedelta(minutes=1))
    assert span_of(*seen) == (NOON - timedelta(hours=1), NOON + timedelta(minutes=61))
    at = [each.isoformat() for each in seen]
    readings = {"measured_at": at, "flow_ml_d": [0.1, 0.0], "program_ml_d": [0.5, 0.5]}
    before = [((NOON - timedelta(minutes=1)).isoformat(), 0.5)]
    lines = {
        line["name"]: line
        for line in chart(before, readings, quantity_of(Condition.STALL), {"Limit": 0.12}, seen)["series"]
    }
    assert [point[0] for point in lines["Limit"]["data"]] == [before[0][0], at[1]]
    assert [point[1] for point in lines["Flow: the readings that decided"]["data"]] == [0.1, 0.0]
    assert lines["Flow: the readings that decided"]["markArea"]["data"][0][0] == {"xAxis": at[0]}
    assert chart([], {}, quantity_of(Condition.STALL), {"Limit": 0.12}, seen)["series"]
