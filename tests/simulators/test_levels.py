"""A reservoir that the formula demands an alert for, and a battery that asks to be replaced, have their labels."""

import msgspec
import numpy as np

from simulators.faults import HOUR_MS
from simulators.fleet import Implant, fleet_of
from simulators.labels import Label
from simulators.levels import Levels, with_consequences
from simulators.pump import Measured

FLEET = fleet_of(7, 40)
PUMP = next(pump for pump in FLEET if pump.capacity_ml == 20 and not pump.sensor)


def labels_over(volumes_ml: list[float], volts: list[float], pump: Implant = PUMP) -> list[Label]:
    """The labels of one pump with a reading an hour."""
    levels = Levels([pump])
    column = np.full((len(volumes_ml), 1), pump.program_ml_d)
    measured = Measured(
        np.zeros((len(volumes_ml), 1), dtype=np.int64),
        column,
        column,
        np.array(volumes_ml)[:, None],
        np.array(volts)[:, None],
        column,
    )
    levels.look(0, HOUR_MS, measured)
    return levels.labels()


def test_a_full_and_fresh_pump_has_no_label() -> None:
    assert labels_over([18.0] * 48, [2.9] * 48) == []


def test_a_reservoir_that_empties_must_be_noticed_as_low_and_then_as_empty() -> None:
    falling = np.linspace(12.0, 0.0, 400).tolist()

    low, empty = labels_over(falling, [2.9] * 400)

    assert (low.fault, low.expected, empty.fault, empty.expected) == (
        *("reservoir_low", ["reservoir_low"]),
        *("reservoir_empty", ["reservoir_empty"]),
    )
    assert low.earliest_ms is not None
    assert low.due_ms is not None
    assert low.onset_ms < low.earliest_ms < low.due_ms < (empty.due_ms or 0)
    assert not low.injected


def test_near_the_limit_an_alert_may_come_or_not_and_a_refill_ends_it() -> None:
    cycle_d = PUMP.capacity_ml / PUMP.program_ml_d
    near_ml = 1.2 * min(14.0, 0.25 * cycle_d) * PUMP.program_ml_d + PUMP.capacity_ml * 0.076 / 1.076

    [label] = labels_over([near_ml] * 10 + [20.0] * 10, [2.9] * 20)

    assert (label.expected, label.due_ms) == ([], None)
    assert "reservoir_low" in label.allowed
    assert label.end_ms is not None


def test_a_battery_that_asks_to_be_replaced_must_be_noticed() -> None:
    [label] = labels_over([18.0] * 48, np.linspace(2.7, 2.5, 48).tolist())

    assert (label.expected, label.due_ms is not None) == (["battery_low"], True)


def test_what_a_pump_says_of_itself_is_not_false() -> None:
    levels = Levels([PUMP])
    levels.told(0, 5 * HOUR_MS, "end_of_service")
    levels.told(0, 5 * HOUR_MS, "memory_error")

    [label] = levels.labels()

    assert (label.allowed, label.expected, label.onset_ms) == (["battery_end"], [], 5 * HOUR_MS)


def test_what_a_fault_expects_is_not_counted_twice_and_learns_when_it_was_due() -> None:
    found = labels_over([18.0] * 48, np.linspace(2.7, 2.5, 48).tolist())
    injected = msgspec.structs.replace(
        found[0], fault="battery_early", counts_from_ms=0, earliest_ms=None, due_ms=None, injected=True
    )

    [label] = with_consequences([injected], found)

    assert (label.fault, label.due_ms, label.injected) == ("battery_early", found[0].due_ms, True)
    assert with_consequences([], found) == found
