"""Patients ask when they will; the pump grants what its prescription allows and says why it does not."""

from collections import Counter

import numpy as np
import pytest

from simulators import wire
from simulators.patients import Boluses
from simulators.programs import STOPPED
from simulators.said import Said
from tests.simulators.bench import HOUR_MS, MINUTE_MS, NOON_MS, pumps, run

ALLOWED = Boluses(dose_ul=20.0, duration_s=900, lockout_s=2 * 3600, daily_cap_ul=80.0, wishes_a_day=12.0)
DAYS = 5


@pytest.fixture(scope="module")
def week() -> tuple[list[Said], np.ndarray]:
    """What eager patients and their pumps said, and the programs."""
    fleet = pumps(20, boluses=ALLOWED)
    program_ml_d = np.concatenate([run(fleet, 60).program_ml_d for _ in range(24 * DAYS)])
    return fleet.take_said(), program_ml_d


def test_every_wish_is_granted_in_full_or_denied_for_a_reason(week: tuple[list[Said], np.ndarray]) -> None:
    said, program_ml_d = week
    kinds = Counter(each.type for each in said)
    reasons = Counter(each.fields["reason"] for each in said if each.type == "bolus_denied")
    extra_ul = (program_ml_d - 0.5).sum() / 86.4 * 60

    assert kinds["bolus_requested"] == pytest.approx(kinds["bolus_delivered"] * 1.3, rel=0.2)  # one in ten insists
    assert 0 <= kinds["bolus_requested"] - kinds["bolus_delivered"] - kinds["bolus_denied"] <= 20  # still under way
    assert set(reasons) == {"lockout", "daily_cap"}
    assert extra_ul == pytest.approx(20.0 * kinds["bolus_delivered"], rel=0.02)


def test_no_two_boluses_are_within_the_lockout_and_no_day_holds_more_than_the_cap(
    week: tuple[list[Said], np.ndarray],
) -> None:
    said, _ = week
    for pump in range(20):
        ends_ms = np.array([each.at_ms for each in said if (each.pump, each.type) == (pump, "bolus_delivered")])
        assert np.diff(ends_ms).min() >= 2 * HOUR_MS
        in_a_day = [int(((ends_ms > end - 24 * HOUR_MS) & (ends_ms <= end)).sum()) for end in ends_ms]
        assert max(in_a_day) == 4


def test_a_bolus_is_a_rate_on_top_of_the_program_and_shows_in_the_mode() -> None:
    fleet = pumps(1, boluses=ALLOWED)
    measured = run(fleet, 24 * 60)
    [first, *_] = [each for each in fleet.take_said() if each.type == "bolus_delivered"]
    during = slice((first.at_ms - 900_000 - NOON_MS) // MINUTE_MS + 1, (first.at_ms - NOON_MS) // MINUTE_MS)

    assert measured.program_ml_d[during, 0] == pytest.approx(0.5 + 20 / 15 * 1.44, abs=1e-4)
    assert (measured.mode[during, 0] == wire.BOLUS).all()
    assert first.fields == {"dose_ul": 20.0, "duration_s": 900.0}


def test_a_pump_that_does_not_run_denies_and_a_command_ends_the_bolus_under_way() -> None:
    probe = pumps(1, boluses=ALLOWED)
    run(probe, 24 * 60)
    began_ms = next(each.at_ms for each in probe.take_said() if each.type == "bolus_requested")

    for early in (True, False):  # told before the span of the wish is asked for, or while the bolus is under way
        fleet = pumps(1, boluses=ALLOWED)
        if not early:
            run(fleet, (began_ms - NOON_MS) // MINUTE_MS + 1)
        fleet.set_program(0, began_ms + 450_000, STOPPED, command_id="visit-1")
        run(fleet, 5 * 24 * 60)

        said = fleet.take_said()
        [given] = [each for each in said if each.type == "bolus_delivered"]
        assert given.at_ms == began_ms + 450_000
        assert given.fields == {"dose_ul": 10.0, "duration_s": 450.0}
        reasons = {each.fields["reason"] for each in said if each.type == "bolus_denied" and each.at_ms > given.at_ms}
        assert reasons == {"not_running"}


def test_who_may_ask_for_nothing_never_does() -> None:
    fleet = pumps(50)
    run(fleet, 48, HOUR_MS)

    assert fleet.take_said() == []
