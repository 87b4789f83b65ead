"""The pumps in memory: a row is for life, and limits follow the registry."""

from service.core.fleet import Fleet, PumpEntry
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from tests.pumps import ROTOR, SENSOR


def test_a_known_pump_keeps_its_row_and_gets_its_new_limits() -> None:
    rulebook = parse_rulebook("[drug_class.opioid.stall]\nmissed_ul = 5")
    assert isinstance(rulebook, Rulebook)
    fleet = Fleet(rulebook)
    fleet.enter([PumpEntry(7, "a", SENSOR), PumpEntry(9, "b", ROTOR)])
    fleet.state[1] = 3.0
    fleet.enter([PumpEntry(9, "b", ROTOR._replace(drug_class=DrugClass.OPIOID)), PumpEntry(11, "c", SENSOR)])
    assert fleet.pump_ids == ["a", "b", "c"]
    assert fleet.row_of[b"b"] == fleet.row_of_key[9] == 1
    assert (fleet.state[1] == 3.0).all()
    assert fleet.limits["stall_missed_ul"].tolist() == [10, 5, 10]
    assert fleet.limits["flow_sensor"].tolist() == [1, 0, 1]


def test_a_pump_that_was_never_heard_has_no_position() -> None:
    fleet = Fleet(DEFAULT_RULEBOOK)
    fleet.enter([PumpEntry(1, "a", SENSOR)])
    assert (fleet.ledger.through[0], fleet.receipted[0], fleet.latest["position"][0]) == (-1, -1, -1)
