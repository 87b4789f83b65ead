"""A seed describes a fleet, and the registry tells the service what the wire cannot."""

import csv
import io
from datetime import date

import numpy as np

from simulators.battery import YEAR_S
from simulators.fleet import REGISTRY_COLUMNS, fleet_of, nature_of, write_registry
from simulators.pump import Pumps
from tests.simulators.bench import DAY_MS, run

ON_MS = 1_795_376_926_000  # 2026-11-22


def test_a_pump_is_the_same_whatever_the_size_of_its_fleet() -> None:
    assert fleet_of(7, 500)[:50] == fleet_of(7, 50)
    assert fleet_of(8, 50) != fleet_of(7, 50)


def test_pumps_are_programmed_as_patients_are_and_hold_enough_for_the_days_ahead() -> None:
    fleet = fleet_of(7, 2000)

    for pump in fleet:
        cycle_d = pump.capacity_ml / pump.program_ml_d
        left_ml = pump.filled_ml - (pump.capacity_ml - pump.filled_ml) * 0.076
        left_d = left_ml / (pump.use_ml_d * 1.076)
        assert 0.19 <= pump.program_ml_d <= 0.75
        assert left_d > min(14.0, 0.25 * cycle_d) + 2
        assert pump.true_ml > 2.0
    assert {pump.drug_class for pump in fleet} == {"baclofen", "opioid", "clonidine", "ziconotide", "bupivacaine"}
    assert 0.35 < sum(pump.sensor for pump in fleet) / len(fleet) < 0.45
    assert 0.1 < sum(pump.is_flex for pump in fleet) / len(fleet) < 0.2
    rotor = [pump for pump in fleet if not pump.sensor]
    assert 0.4 < sum(pump.tells_stalls for pump in rotor) / len(rotor) < 0.6


def test_only_patients_with_opioids_may_ask_for_boluses_and_never_exceed_their_cap_by_habit() -> None:
    fleet = fleet_of(7, 1000)

    for pump in fleet:
        boluses = pump.boluses
        assert (pump.bolus_daily_cap_ul > 0) == (pump.drug_class == "opioid")
        if pump.bolus_daily_cap_ul:
            assert boluses.dose_ul * boluses.wishes_a_day < boluses.daily_cap_ul
            assert boluses.duration_s < boluses.lockout_s
            assert boluses.daily_cap_ul / 1000 < 0.4 * pump.program_ml_d


def test_no_battery_of_a_new_fleet_is_near_its_end() -> None:
    fleet = fleet_of(7, 500)

    pumps = Pumps(7, nature_of(fleet, ON_MS), np.full(500, ON_MS))
    measured = run(pumps, 60, DAY_MS)

    assert measured.battery_v.min() > 2.65
    codes = {said.fields["code"] for said in pumps.take_said() if said.type == "device_alarm_raised"}
    assert codes <= {"reservoir_low", "reservoir_empty"}  # nobody came for sixty days
    assert max(pump.implanted_d for pump in fleet) * 86400 < 0.7 * 7 * YEAR_S


def test_the_registry_says_of_each_pump_what_the_interface_asks_for() -> None:
    fleet = fleet_of(7, 20, prefix="site-a_", interval_s=1.0)
    file = io.StringIO()
    write_registry(fleet, file, ON_MS)

    lines = file.getvalue().splitlines()
    rows = list(csv.DictReader(lines))
    assert lines[0] == (
        "pump_id,site,time_zone,model,flow_channel,reservoir_channel,capacity_ml,drug,drug_class,"
        "concentration_ug_ml,interval_s,next_refill_on,in_service,simulated,bolus_daily_cap_ul,implanted_on"
    )
    assert set(rows[0]) == set(REGISTRY_COLUMNS)
    for pump, row in zip(fleet, rows, strict=True):
        assert row["pump_id"] == pump.pump_id == f"site-a_{pump.number:06d}"
        assert row["flow_channel"] == ("sensor" if pump.sensor else "rotor")
        assert row["reservoir_channel"] == ("sensor" if pump.sensor else "computed")
        assert row["interval_s"] == "1"
        assert date.fromisoformat(row["next_refill_on"]) > date(2026, 11, 22)
        assert (row["in_service"], row["simulated"]) == ("true", "true")
        assert float(row["bolus_daily_cap_ul"] or 0) == pump.bolus_daily_cap_ul
        assert date(2020, 1, 1) < date.fromisoformat(row["implanted_on"]) < date(2026, 11, 22)
