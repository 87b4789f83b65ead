"""A fault is asked for by its name, and what cannot be is refused in words."""

from dataclasses import replace

import pytest

from simulators.faults import TRAITS, Fault, Kind, fault_named, length_ms, low_ml, of_whole_sites, said
from simulators.fleet import fleet_of

HOUR_MS = 3_600_000
FLEET = fleet_of(7, 60)
ROTOR = next(pump for pump in FLEET if not pump.sensor and not pump.bolus_daily_cap_ul)
SENSOR = next(pump for pump in FLEET if pump.sensor)
WITH_BOLUSES = next(pump for pump in FLEET if pump.bolus_daily_cap_ul)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_asked_for_by_its_name_alone(kind: Kind) -> None:
    fault = fault_named(kind, 3, 5 * HOUR_MS, None, None, WITH_BOLUSES)

    assert (fault.pump, fault.kind, fault.onset_ms) == (3, kind, 5 * HOUR_MS)
    lasts_ms = TRAITS[kind].lasts_ms
    assert kind is Kind.MRI_LATE or fault.end_ms == (None if lasts_ms is None else 5 * HOUR_MS + lasts_ms)
    assert TRAITS[kind].low <= TRAITS[kind].value <= TRAITS[kind].high


@pytest.mark.parametrize(
    ("name", "for_ms", "value", "problem"),
    [
        ("explosion", None, None, "no such fault: explosion; known are stall, stall_flutter"),
        ("stall", None, 3.0, "stall takes no value"),
        ("stall", 0, None, "no duration"),
        ("refill", HOUR_MS, None, "refill happens in a moment"),
        ("over_delivery", None, 0.9, "over_delivery takes a value from 101 % to 500 %"),
        ("bolus_cap", None, None, "has no patient boluses"),
    ],
)
def test_what_cannot_be_is_refused_in_words(name: str, for_ms: int | None, value: float | None, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        fault_named(name, 0, 0, for_ms, value, ROTOR)


def test_a_share_of_the_program_is_true_flow_with_the_pump_own_bias_in_it() -> None:
    biased = replace(SENSOR, bias=0.10)

    assert fault_named("over_delivery", 0, 0, None, 1.43, biased).value == pytest.approx(1.3)
    assert fault_named("under_delivery", 0, 0, None, 0.55, biased).value == pytest.approx(0.5)
    assert fault_named("under_delivery", 0, 0, None, 0.55, replace(ROTOR, bias=0.10)).value == 0.55


def test_an_mri_stall_lasts_the_scan_and_then_as_long_as_is_said() -> None:
    assert length_ms(fault_named("mri_late", 0, 0, None, 3.0, ROTOR)) == 40 * 60_000 + 3 * HOUR_MS


def test_a_site_outage_is_one_of_every_pump_of_the_site() -> None:
    spread = of_whole_sites([Fault(0, Kind.SITE_OUTAGE, 5, 9), Fault(1, Kind.STALL, 7)], FLEET)

    outages = {fault.pump for fault in spread if fault.kind is Kind.SITE_OUTAGE}
    assert outages == {number for number, pump in enumerate(FLEET) if pump.site == FLEET[0].site}
    assert [fault for fault in spread if fault.kind is Kind.STALL] == [Fault(1, Kind.STALL, 7)]


def test_what_a_low_reservoir_begins_with_is_past_the_first_limit_and_not_past_the_second() -> None:
    for pump in FLEET:
        cycle_d = pump.capacity_ml / pump.program_ml_d
        for passed_d in (0, 1):
            volume_ml = low_ml(pump) - passed_d * pump.program_ml_d
            left_d = (volume_ml - (pump.capacity_ml - volume_ml) * 0.076) / (pump.program_ml_d * 1.076)
            assert min(5, 0.10 * cycle_d) + 0.5 < left_d < min(14, 0.25 * cycle_d) - 0.3


def test_values_are_written_as_a_person_writes_them() -> None:
    assert (said(1.4, "%"), said(0.03, "%/month"), said(5.0, "mL"), said(2.0, "")) == (
        "140 %",
        "3 %/month",
        "5 mL",
        "2",
    )
