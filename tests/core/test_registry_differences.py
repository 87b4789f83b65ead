"""An import says beforehand what it would change."""

from datetime import date

import msgspec

from service.core.reading import DrugClass
from service.core.registry import RegistryEntry
from service.core.registry_differences import Difference, Field, differences

P1 = RegistryEntry(
    pump_id="p1",
    site="north",
    flow_channel="rotor",
    reservoir_channel="computed",
    capacity_ml=20.0,
    drug_class=DrugClass.BACLOFEN,
    interval_s=60.0,
)


def test_what_is_as_it_was_is_no_difference() -> None:
    assert differences([P1], [P1]) == []


def test_a_new_pump_is_told_from_a_changed_one() -> None:
    new = msgspec.structs.replace(P1, pump_id="p2")
    changed = msgspec.structs.replace(P1, site="south", next_refill_on=date(2027, 1, 31), in_service=False)
    found = differences([P1], [new, changed])
    assert found == [
        Difference("p2", ()),
        Difference(
            "p1",
            (
                Field("site", "north", "south"),
                Field("next_refill_on", "", "2027-01-31"),
                Field("in_service", "true", "false"),
            ),
        ),
    ]
    assert [each.is_new for each in found] == [True, False]


def test_a_pump_that_the_file_does_not_name_stays() -> None:
    assert differences([P1], []) == []
