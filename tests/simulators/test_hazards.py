"""Faults come as often as they are published, times the factor that was asked for."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from simulators.faults import DAY_MS, Kind, Timeline
from simulators.fleet import fleet_of
from simulators.hazards import RATES, YEAR_MS, age_y, drawn, wear

FLEET = fleet_of(7, 2000)
TIMELINE = Timeline(0, 60_000, 30 * 1440, 60_000)


def survival(drug: str, years: float) -> float:
    pump = replace(FLEET[0], drug=drug)
    steps = 1000
    return math.exp(-sum(wear((step + 0.5) / steps * years, pump) * years / steps for step in range(steps)))


def test_wear_leaves_as_many_pumps_running_for_six_years_as_published() -> None:
    assert survival("baclofen", 6) == pytest.approx(0.973, abs=0.001)
    assert survival("hydromorphone", 6) == pytest.approx(0.911, abs=0.001)
    assert survival("baclofen", 2) > 0.998


def test_rates_are_of_the_published_size() -> None:
    settled = replace(FLEET[0], drug="baclofen", implanted_d=3 * 365.25)
    rates = {kind: rate(age_y(settled), settled) for kind, rate in RATES.items()}

    assert rates[Kind.POCKET_FILL] == pytest.approx(4e-4)
    assert 7 * (rates[Kind.OVER_INFUSION]) == pytest.approx(0.0014)
    catheter = rates[Kind.OCCLUSION] + rates[Kind.OCCLUSION_PARTIAL] + rates[Kind.CATHETER_LEAK]
    assert catheter == pytest.approx(0.7 * 7 / 8 / 20.1, rel=0.02)
    fresh = replace(settled, implanted_d=10.0)
    assert RATES[Kind.CATHETER_LEAK](age_y(fresh), fresh) > 3 * rates[Kind.CATHETER_LEAK]
    assert RATES[Kind.BATTERY_RESET](age_y(fresh), fresh) == 0


def test_the_factor_scales_how_many_there_are() -> None:
    share_of_year = 30 * DAY_MS / YEAR_MS
    expected = sum(
        rate(age_y(pump), pump) * share_of_year
        for pump in FLEET
        for kind, rate in RATES.items()
        if kind is not Kind.BOLUS_CAP or pump.bolus_daily_cap_ul
    )

    once, tenfold = (drawn(factor, FLEET, range(2000), 7, TIMELINE) for factor in (1.0, 10.0))

    assert len(once) == pytest.approx(expected, abs=4 * expected**0.5)
    assert len(once) < len(tenfold) < 10 * expected
    assert all(0 <= fault.onset_ms < 30 * DAY_MS for fault in tenfold)
    assert max(Counter(fault.pump for fault in tenfold).values()) == 1
    assert {fault.kind for fault in tenfold} >= {Kind.SILENCE, Kind.LOST, Kind.MRI, Kind.CATHETER_LEAK}
    assert drawn(10.0, FLEET, range(2000), 7, TIMELINE) == tenfold
