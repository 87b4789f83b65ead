"""What came again is compared with what is stored, value by value."""

import numpy as np

from service.core.conflict import difference
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
