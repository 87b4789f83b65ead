"""What came again is compared with what is stored, value by value."""

import numpy as np

from service.core.conflict import differ, difference, places_of
from service.core.reading import Items
from tests.pumps import readings


def test_what_is_equal_does_not_differ_and_what_is_not_said_is_equal() -> None:
    ours, theirs = readings(1)[0], readings(1)[0]
    assert np.isnan(ours["delivered_ul"])
    assert difference(ours, theirs, timed=True) == ""


def test_each_value_that_differs_is_named_with_both() -> None:
    ours, theirs = readings(1)[0], readings(1)[0]
    ours["flow_ml_d"], ours["delivered_ul"], theirs["flow_ml_d"] = 0.25, 7.5, 0.5
    assert difference(ours, theirs) == "flow_ml_d is 0.25, stored is 0.5; delivered_ul is 7.5, stored is nan"


def test_another_time_is_a_difference_where_times_are_comparable() -> None:
    ours, theirs = readings(1)[0], readings(1)[0]
    ours["measured_ms"] += 1500
    assert difference(ours, theirs) == ""
    assert difference(ours, theirs, timed=True) == "its time is 1500 ms after the stored one's"


def several(*places: tuple[int, int]) -> Items:
    items = readings(len(places))
    items["pump"], items["position"] = zip(*places, strict=True)
    return items


def test_each_finds_what_is_stored_of_its_pump_and_position_and_the_first_of_several() -> None:
    stored = several((7, 2), (3, 1), (7, 1), (7, 2))
    ours = several((7, 1), (7, 2), (3, 2), (7, 2), (3, 1))
    assert places_of(ours, stored).tolist() == [2, 0, -1, 0, 1]
    assert places_of(ours, stored[:0]).tolist() == [-1] * 5
    assert places_of(ours[:0], stored).tolist() == []


def test_those_differ_of_which_a_difference_can_be_told() -> None:
    ours, theirs = readings(6), readings(6)
    ours["flow_ml_d"][1], ours["mode"][2], theirs["delivered_ul"][3] = 0.25, 2, 7.5
    ours["delivered_ul"][0], theirs["delivered_ul"][0] = 7.5, 7.5
    ours["measured_ms"][4:] += 1
    timed = np.array([True, True, True, True, False, True])
    told = [difference(*both, timed=bool(when)) != "" for *both, when in zip(ours, theirs, timed, strict=True)]
    assert differ(ours, theirs, timed).tolist() == told == [False, True, True, True, False, True]
