"""Values that cannot be are found in their message, at their index; values at the limits are not."""

import numpy as np
import pytest

from service.core.reading import ITEM, Items, position_of
from service.core.rejection import Reason
from service.core.validate import RANGES, forgotten_too_soon, implausible


def rows(*readings_in: int) -> Items:
    """Sound readings: so many in each message, a second apart."""
    items = np.zeros(sum(readings_in), ITEM)
    items["message"] = np.repeat(np.arange(len(readings_in)), readings_in)
    items["device_ms"] = 1000 * np.arange(len(items))
    items["position"] = position_of(1, 0) + np.arange(len(items))
    return items


@pytest.mark.parametrize("name", RANGES)
def test_both_ends_of_a_range_belong_to_it_and_the_next_number_does_not(name: str) -> None:
    lowest, highest = RANGES[name]
    items = rows(2, 1, 3, 1)
    items[name][[0, 1, 3, 4]] = lowest, highest, np.nextafter(lowest, -1), highest
    items[name][5], items[name][6] = np.nextafter(highest, np.inf), np.nextafter(highest, np.inf)
    found = implausible(items)
    assert [(rejection.message, rejection.reason) for rejection in found] == [
        (2, Reason.OUT_OF_RANGE),
        (3, Reason.OUT_OF_RANGE),
    ]
    assert found[0].detail.startswith(f"{name}[0] is ")
    assert found[1].detail.startswith(f"{name}[0] is ")


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_called_so(name: str, value: float) -> None:
    items = rows(3, 3)
    items[name][4] = value
    [found] = implausible(items)
    assert (found.message, found.reason) == (1, Reason.NOT_FINITE)
    assert found.detail.startswith(f"{name}[1] is {value:g}")


def test_time_may_stand_still_within_a_message_and_jump_between_messages() -> None:
    items = rows(3, 2, 2)
    items["device_ms"] = [5, 5, 6, 1, 1, 0, 9]
    assert implausible(items) == []


def test_time_that_runs_backwards_within_a_message_is_found_once() -> None:
    items = rows(2, 4, 2)
    items["device_ms"][3:6] = [1500, 1400, 1300]
    [found] = implausible(items)
    assert (found.message, found.reason) == (1, Reason.TIME_BACKWARDS)
    assert found.detail == "time_ms[1] is 500 ms before time_ms[0]"


def test_thousands_of_bad_readings_are_one_rejection_a_message() -> None:
    items = rows(*[4000] * 50)
    items["flow_ml_d"] = -1
    assert [rejection.message for rejection in implausible(items)] == list(range(50))


def test_a_pump_holds_what_it_sends() -> None:
    items = rows(2, 1, 3)
    last = [items["position"][1], items["position"][2], items["position"][5]]
    assert (
        forgotten_too_soon(items, np.array([*last, -1])) == []
    )  # the fourth message has no rows, as a status has none
    found = forgotten_too_soon(items, np.array([last[0], last[1] + 1, position_of(2, 0)]))
    assert [(rejection.message, rejection.reason) for rejection in found] == [
        (1, Reason.HELD_FROM_AHEAD),
        (2, Reason.HELD_FROM_AHEAD),
    ]


def test_nothing_is_wrong_with_nothing() -> None:
    assert implausible(rows()) == []
    assert forgotten_too_soon(rows(), np.zeros(0, np.int64)) == []
