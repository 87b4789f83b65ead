"""What becomes of values that cannot be, never change, leap, or are not there? A rejection, or a stated verdict.

What is wrong with bytes, keys and types: tests/core/test_decode.py. With limits: tests/core/test_rulebook.py.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from service.core.backtest import Backtest, WireMessage
from service.core.reading import CODES, EventType, Items, Mode, position_of, round_to_stored
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts
from service.core.state import LEVELS
from service.core.validate import RANGES
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, readings

HOUR, DAY, WEEK = 60, 24 * 60, 7 * 24 * 60
SPARSE = 10  # minutes between two readings, where a week is meant


def sent(**changed: Any) -> list[tuple[str, str]]:
    """What was told, and why a message was kept aside, of a pump whose one message says something else."""
    payload: dict[str, Any] = {
        "boot": 1,
        "seq": 0,
        "held_from": [1, 0],
        "time_ms": [NOON_MS, NOON_MS + MINUTE_MS],
        "mode": ["running"] * 2,
        "program_ml_d": [0.5] * 2,
        "flow_ml_d": [0.5] * 2,
        "reservoir_ml": [18.0] * 2,
        "battery_v": [2.9] * 2,
    }
    backtest = Backtest(DEFAULT_RULEBOOK, [("p1", SENSOR)])
    backtest.feed(
        [WireMessage(b"pumps/v1/p1/telemetry", NOON_MS + 2 * MINUTE_MS, msgspec.msgpack.encode(payload | changed))]
    )
    told = [(str(finding.condition), "told") for finding in backtest.finish()]
    return [*told, *((str(rejection.reason), rejection.detail) for rejection in backtest.rejections)]


@pytest.mark.parametrize("name", ["program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [(float("nan"), "not_finite"), (float("inf"), "not_finite"), (-0.001, "out_of_range"), (1e9, "out_of_range")],
)
def test_what_is_no_number_negative_or_beyond_all_measure_is_kept_aside_with_its_place(
    name: str, value: float, reason: str
) -> None:
    ((why, detail),) = sent(**{name: [1.0, value]})
    assert why == reason
    assert detail.startswith(f"{name}[1] is ")


def test_empty_and_unequal_columns_are_kept_aside() -> None:
    columns = ("time_ms", "mode", "program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v")
    assert [why for why, _ in sent(**{column: [] for column in columns})] == ["no_readings"]
    assert [why for why, _ in sent(flow_ml_d=[])] == ["unequal_columns"]
    assert sent() == []


def test_time_that_leaps_back_within_a_message_is_kept_aside_and_between_messages_covers_nothing() -> None:
    assert [why for why, _ in sent(time_ms=[NOON_MS, NOON_MS - 1])] == ["time_backwards"]
    pumps = Pumps()
    pumps.take(readings(HOUR))
    pumps.take(readings(HOUR, first_seq=HOUR, start_ms=NOON_MS, reservoir_ml=18.0))
    assert pumps.turns == []


def with_leap(column: str, value: float, minutes: int, facts: PumpFacts = SENSOR) -> list[tuple[str, str]]:
    """What is told of a sound pump of which one column leaps, four hours later, for so many minutes."""
    given = readings(10 * HOUR)
    given[column][4 * HOUR + 1 : 4 * HOUR + 1 + minutes] = value  # so that the first of them ends an hour
    round_to_stored(given)
    pumps = Pumps(facts=facts)
    pumps.take(given)
    return pumps.told


@pytest.mark.parametrize(
    ("column", "value", "minutes", "told"),
    [
        (
            "flow_ml_d",
            100_000.0,
            1,
            ["level_deviation", "over_delivery_gross"],
        ),  # a burst: no wild value of this size is let pass
        ("flow_ml_d", 2.0, 1, []),  # four times the program for a minute is noise
        ("flow_ml_d", 0.0, 10, []),
        ("reservoir_ml", 0.0, 1, []),  # one reading of a measured level decides nothing
        ("reservoir_ml", 0.0, 5, ["reservoir_empty"]),
        ("reservoir_ml", 40.0, 1, []),
        ("reservoir_ml", 40.0, 50, ["level_deviation"]),
        ("reservoir_ml", 8.0, 6 * HOUR, ["level_deviation"]),  # ten millilitres gone between two readings
        ("battery_v", 0.0, 50, []),
        ("battery_v", 0.0, 4 * HOUR, ["battery_low"]),
    ],
)
def test_a_value_that_leaps_has_a_stated_verdict(column: str, value: float, minutes: int, told: list[str]) -> None:
    found = with_leap(column, value, minutes)
    assert sorted({condition for condition, turn in found if turn == "began"}) == told


def test_a_computed_level_at_nought_is_empty_at_once_and_a_rotor_s_count_too_high_is_not_available() -> None:
    assert with_leap("reservoir_ml", 0.0, 1, ROTOR)[0] == ("reservoir_empty", "began")
    assert with_leap("flow_ml_d", 100_000.0, 1, ROTOR) == []


def constant(minutes: int = WEEK, **columns: Any) -> Items:
    """A reading every ten minutes of which nothing changes but the time."""
    columns = {"reservoir_ml": 18.0} | columns
    return readings(minutes // SPARSE, spacing_ms=SPARSE * MINUTE_MS, **columns)


def test_a_level_that_never_falls_though_the_pump_delivers_is_told_where_it_is_measured() -> None:
    frozen = {facts.reservoir_sensor: Pumps(facts=facts) for facts in (ROTOR, SENSOR)}
    for pumps in frozen.values():
        pumps.take(constant())
    assert frozen[True].told == [("level_deviation", "began")]
    assert frozen[False].told == []  # a computed level says what the pump believes: docs/rules.md


def test_a_flow_that_never_changes_is_told_when_the_program_does() -> None:
    pumps = Pumps(facts=SENSOR._replace(reservoir_sensor=False))
    program = np.where(np.arange(WEEK // SPARSE) < WEEK // SPARSE // 2, 0.5, 1.0)
    pumps.take(constant(program_ml_d=program, flow=0.5 / program))
    assert ("under_delivery_gross", "began") in pumps.told
    still = Pumps(facts=SENSOR)
    still.take(constant(flow=0.0))
    assert still.told[0] == ("stall", "began")


def test_nothing_programmed_and_nothing_delivered_for_a_week_is_a_pump_that_stands_still() -> None:
    pumps = Pumps()
    pumps.take(constant(program_ml_d=0.0, flow=0.0, mode=Mode.STOPPED))
    assert {condition for condition, _ in pumps.told} == {"stopped_long"}


def anything(draws: np.random.Generator, count: int, pumps: int) -> Items:
    """Whatever is let through: values at the ends of their ranges or between, all modes and events, odd times."""
    items = readings(count * pumps)
    items["pump"] = np.repeat(np.arange(pumps), count)
    items["position"] = (
        np.tile(position_of(1, 0) + np.arange(count), pumps) + draws.integers(0, 2, count * pumps) * 1000
    )
    steps_ms = draws.choice([0, 1, 1000, MINUTE_MS, HOUR * MINUTE_MS, DAY * MINUTE_MS, -MINUTE_MS], count * pumps)
    items["measured_ms"] = items["device_ms"] = NOON_MS + np.cumsum(steps_ms)
    for name in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v"):
        low, high = RANGES[name]
        items[name] = _spread(draws, low, high, len(items))
    items["mode"] = draws.choice([int(mode) for mode in Mode], len(items))
    is_event = np.flatnonzero(draws.random(len(items)) < 0.2)
    items["kind"][is_event] = draws.choice([int(kind) for kind in EventType], len(is_event))
    items["value"][is_event] = _spread(draws, 0.0, 100.0, len(is_event))
    items["second"][is_event] = draws.choice([np.nan, 0.0, 1.0, 100.0, 1e6], len(is_event))
    for at in is_event.tolist():
        codes = CODES.get(EventType(items["kind"][at]), ())
        items["code"][at] = draws.integers(len(codes)) if codes else -1
    round_to_stored(items)
    return items[np.lexsort((items["position"], items["pump"]))]


def _spread(draws: np.random.Generator, low: float, high: float, count: int) -> npt.NDArray[np.float64]:
    usual = draws.uniform(0.0, 1.0, count)
    return np.where(draws.random(count) < 0.6, usual, draws.choice([low, high, 1e-6, (low + high) / 2], count))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("facts", [ROTOR, SENSOR._replace(bolus_daily_cap_ul=100.0, implanted_ms=float(NOON_MS))])
def test_whatever_is_let_through_leaves_numbers_and_levels_that_there_are(seed: int, facts: PumpFacts) -> None:
    draws = np.random.default_rng(seed)
    pumps = Pumps(20, facts=facts)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        for _ in range(4):
            pumps.take(anything(draws, 100, 20))
            pumps.evaluated[:] = -1
    assert np.isfinite(pumps.state).all()
    assert set(np.unique(pumps.state[:, LEVELS])) <= {0.0, 1.0, 2.0, 3.0}
    assert len({turn.condition for turn in pumps.turns}) > 10
