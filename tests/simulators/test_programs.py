"""A pump's program is integrated exactly, whatever happens within a span and however long the span is."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import wire
from simulators.programs import AT_MINIMUM, STOPPED, Phase, Program, Programs, bridge, priming, single_bolus
from tests.simulators.bench import DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, pumps, run

FLEX = ((0, 0.4), (6 * 60, 0.8), (20 * 60, 0.6))  # mean 0.65


def over(programs: Programs, steps: int, spacing_ms: int, from_ms: int = NOON_MS) -> tuple[list[float], list[str]]:
    """(rates, modes) of the first pump."""
    rates, modes = programs.over(np.full(len(programs.basal), from_ms), spacing_ms, steps)
    return rates[:, 0].round(9).tolist(), [wire.MODES[mode] for mode in modes[:, 0]]


def programs(*basal: Program) -> Programs:
    return Programs(basal, np.full(len(basal), NOON_MS))


def test_a_simple_program_is_the_same_all_the_time() -> None:
    assert over(programs(Program(0.5)), 3, HOUR_MS) == ([0.5] * 3, ["running"] * 3)


def test_a_flex_program_changes_at_its_hours_without_a_word_and_stays_running() -> None:
    fleet = pumps(1, Program.flex([FLEX]))

    measured = run(fleet, 24, HOUR_MS)

    assert measured.program_ml_d[:, 0].tolist() == [0.8] * 8 + [0.6] * 4 + [0.4] * 6 + [0.8] * 6
    assert set(measured.mode[:, 0]) == {wire.RUNNING}
    assert fleet.take_said() == []
    assert Program.flex([FLEX]).rate_ml_d == pytest.approx(measured.program_ml_d.mean(), abs=1e-4)


def test_days_of_the_week_differ_where_the_program_says_so() -> None:
    weekday, weekend = ((0, 0.5),), ((0, 0.3), (12 * 60, 0.35))
    program = Program.flex([weekday] * 5 + [weekend] * 2)

    rates, _ = over(programs(program), 8 * 2, 12 * HOUR_MS)  # from a Sunday's noon

    assert rates == [0.35] + [0.5] * 10 + [0.3, 0.35, 0.3, 0.35] + [0.5]


def test_a_flex_program_follows_the_clock_on_the_wall_and_one_by_utc_does_not() -> None:
    night = ((0, 0.2), (7 * 60, 1.0))
    before_dst_ms = round(datetime(2026, 3, 28, 6, tzinfo=UTC).timestamp() * 1000)  # clocks go forward on the 29th
    for zone, begins_at in (("Europe/Oslo", [6, 5]), ("UTC", [7, 7])):
        made = Programs([Program.flex([night], zone)], np.array([before_dst_ms]))
        rates, _ = over(made, 47, HOUR_MS, before_dst_ms)
        rises = [at for at in range(47) if rates[at] == 1.0 and (at == 0 or rates[at - 1] == 0.2)]
        assert [(6 + at) % 24 for at in rises] == begins_at


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 1439), st.integers(0, 40)), max_size=5, unique_by=lambda each: each[0]),
    st.integers(1, 90 * MINUTE_MS),
    st.integers(1, 40),
    st.integers(0, 2 * DAY_MS),
    st.sampled_from([STOPPED, AT_MINIMUM, Phase(wire.BRIDGE, 0.3, NOON_MS + 5 * HOUR_MS)]),
)
def test_the_integral_is_exact_over_any_span(
    pattern: list[tuple[int, int]], spacing_ms: int, steps: int, change_after_ms: int, phase: Phase
) -> None:
    program = Program.flex([[(0, 0.5), *((at, rate / 20) for at, rate in sorted(pattern))]])
    at_ms = NOON_MS + change_after_ms
    made, whole = programs(program), programs(program)
    for each in (made, whole):
        each.change(0, at_ms, phase)

    rates, _ = over(made, steps, spacing_ms)
    [total], _ = over(whole, 1, spacing_ms * steps)

    assert np.mean(rates) == pytest.approx(total, abs=1e-8)
    expected = integral(program, phase, at_ms, NOON_MS, NOON_MS + spacing_ms * steps)
    assert total * spacing_ms * steps == pytest.approx(expected, rel=1e-9, abs=1.0)


def integral(program: Program, phase: Phase, at_ms: int, from_ms: int, to_ms: int) -> float:
    """mL/d x ms, summed minute by minute: every change of these programs is at a whole minute, but for `at_ms`."""
    edges = sorted({from_ms, to_ms, at_ms, phase.end_ms or at_ms, *range(from_ms, to_ms, MINUTE_MS)})
    phase_end_ms = to_ms if phase.end_ms is None else max(phase.end_ms, at_ms)
    total = 0.0
    for begin, end in pairwise(edges):
        if not from_ms <= begin < to_ms:
            continue
        minute = begin // MINUTE_MS % 1440
        rate = [rate for at, rate in program.days[0] if at <= minute][-1]
        total += (end - begin) * (phase.rate_ml_d if at_ms <= begin < phase_end_ms else rate)
    return total


def test_a_single_bolus_ends_in_a_stopped_pump_and_priming_and_bridge_in_the_basal_program() -> None:
    began_ms = NOON_MS + 10 * MINUTE_MS
    expected = {
        "bolus": (single_bolus(began_ms, 100.0, 1200), 100 / 20 * 1.44, [0.0, "stopped"]),
        "priming": (priming(began_ms, 200.0, 1200), 200 / 20 * 1.44, [0.5, "running"]),
        "bridge": (bridge(began_ms, 10.0, 0.72), 0.72, [0.5, "running"]),
    }
    for mode, (phase, rate_ml_d, after) in expected.items():
        made = programs(Program(0.5))
        made.change(0, began_ms, phase)

        rates, modes = over(made, 6, 10 * MINUTE_MS)

        assert rates == pytest.approx([0.5, rate_ml_d, rate_ml_d, after[0], after[0], after[0]])
        assert modes == ["running", mode, mode, after[1], after[1], after[1]]


@pytest.mark.parametrize(("rate_ml_d", "hours"), [(0.1, 48.0), (0.3, 16.0), (0.5, 9.6), (1.0, 4.8)])
def test_a_bridge_lasts_as_long_as_the_old_drug_takes_to_leave_the_dead_volume(rate_ml_d: float, hours: float) -> None:
    phase = bridge(NOON_MS, 200.0, rate_ml_d)

    assert phase.end_ms is not None
    assert (phase.end_ms - NOON_MS) / HOUR_MS == pytest.approx(hours)


def test_several_changes_in_one_span_all_count() -> None:
    made = programs(Program(0.5), Program(0.5))
    made.change(0, NOON_MS + 10 * MINUTE_MS, STOPPED)
    made.change(0, NOON_MS + 20 * MINUTE_MS, AT_MINIMUM)
    made.change(0, NOON_MS + 30 * MINUTE_MS, basal=Program(1.0))

    rates, modes = over(made, 2, HOUR_MS)

    assert rates == pytest.approx([(10 * 0.5 + 10 * 0.006 + 30 * 1.0) / 60, 1.0])
    assert modes == ["running", "running"]


def test_commands_are_told_with_who_ordered_them_and_what_follows_by_itself_is_not() -> None:
    fleet = pumps(1)
    fleet.set_program(0, NOON_MS + 1, single_bolus(NOON_MS + 1, 50.0, 600), command_id="visit-7")
    modes = run(fleet, 30).mode[:, 0]

    [said] = fleet.take_said()
    assert (said.at_ms, said.type) == (NOON_MS + 1, "program_changed")
    assert said.fields == {"program_ml_d": 7.2, "mode": "bolus", "command_id": "visit-7"}
    assert modes[9] == wire.BOLUS
    assert modes[10] == modes[-1] == wire.STOPPED


def test_a_scaled_program_keeps_its_pattern() -> None:
    assert Program(0.5).scaled(1.2) == Program(0.6)
    assert Program.flex([FLEX]).scaled(0.5) == Program.flex([[(0, 0.2), (360, 0.4), (1200, 0.3)]])
