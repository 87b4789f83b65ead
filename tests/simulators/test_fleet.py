"""A seed describes a fleet, and the registry tells the service what the wire cannot."""

import csv
import io
from datetime import date

from simulators.fleet import REGISTRY_COLUMNS, fleet_of, write_registry

ON_MS = 1_795_376_926_000  # 2026-11-22


def test_a_pump_is_the_same_whatever_the_size_of_its_fleet() -> None:
    assert fleet_of(7, 500)[:50] == fleet_of(7, 50)
    assert fleet_of(8, 50) != fleet_of(7, 50)


def test_pumps_are_programmed_as_patients_are_and_hold_enough_for_the_days_ahead() -> None:
    fleet = fleet_of(7, 2000)

    for pump in fleet:
        cycle_d = pump.capacity_ml / pump.program_ml_d
        left_ml = pump.filled_ml - (pump.capacity_ml - pump.filled_ml) * 0.076
        left_d = left_ml / (pump.program_ml_d * 1.076)
        assert 0.2 <= pump.program_ml_d <= 1.0
        assert left_d > min(14.0, 0.25 * cycle_d) + 2
        assert pump.true_ml > 2.0
    assert {pump.drug_class for pump in fleet} == {"baclofen", "opioid", "clonidine", "ziconotide", "bupivacaine"}
    assert 0.35 < sum(pump.sensor for pump in fleet) / len(fleet) < 0.45


def test_the_registry_says_of_each_pump_what_the_interface_asks_for() -> None:
    fleet = fleet_of(7, 20, prefix="site-a_", interval_s=1.0)
    file = io.StringIO()
    write_registry(fleet, file, ON_MS)

    lines = file.getvalue().splitlines()
    rows = list(csv.DictReader(lines))
    assert lines[0] == (
        "pump_id,site,time_zone,model,flow_channel,reservoir_channel,capacity_ml,drug,drug_class,"
        "concentration_ug_ml,interval_s,next_refill_on,in_service,simulated"
    )
    assert set(rows[0]) == set(REGISTRY_COLUMNS)
    for pump, row in zip(fleet, rows, strict=True):
        assert row["pump_id"] == pump.pump_id == f"site-a_{pump.number:06d}"
        assert row["flow_channel"] == ("sensor" if pump.sensor else "rotor")
        assert row["reservoir_channel"] == ("sensor" if pump.sensor else "computed")
        assert row["interval_s"] == "1"
        assert date.fromisoformat(row["next_refill_on"]) > date(2026, 11, 22)
        assert (row["in_service"], row["simulated"]) == ("true", "true")
