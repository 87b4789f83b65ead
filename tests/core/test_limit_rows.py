"""The limits of a fleet's pumps: as if each had a row of its own."""

import numpy as np

from service.core.fleet import Fleet, PumpEntry
from service.core.rulebook import FACTS, Rulebook, parse_rulebook
from tests.pumps import ROTOR, SENSOR

WHY = "reason = 'r'\nauthor = 'a'\nexpires = 2090-01-01"
OWN = parse_rulebook(f"[pump.p3.stall]\nmissed_ul = 20\n{WHY}")
SPARE = ROTOR._replace(implanted_ms=np.nan, bolus_daily_cap_ul=120.0, interval_s=17.0)
PUMPS = [PumpEntry(number, f"p{number}", facts) for number, facts in enumerate((ROTOR, SENSOR, SPARE, ROTOR))]


def a_fleet() -> Fleet:
    assert isinstance(OWN, Rulebook)
    fleet = Fleet(OWN)
    fleet.enter(PUMPS[:2])
    fleet.enter(PUMPS[2:])
    return fleet


def test_each_pump_has_the_row_that_the_rulebook_says() -> None:
    fleet, rows = a_fleet(), np.array([3, 0, 2, 1, 3])
    assert isinstance(OWN, Rulebook)
    own = np.concatenate([OWN.limits_row(pump.facts, pump.pump_id) for pump in PUMPS])
    assert fleet.limits.take(rows).tobytes() == own.take(rows).tobytes()
    assert [fleet.limits[row].tobytes() for row in range(4)] == [row.tobytes() for row in own]
    for name in own.dtype.names or ():
        np.testing.assert_array_equal(fleet.limits[name], own[name])
    assert fleet.limits.facts_of(2).tolist()[:4] == [SPARE._asdict()[name] for name in FACTS[:4]]


def test_what_is_taken_is_a_copy_and_kinds_are_shared() -> None:
    fleet = a_fleet()
    taken = fleet.limits.take(np.array([0]))
    taken["stall_missed_ul"] = 99
    assert fleet.limits["stall_missed_ul"].tolist() == [10, 10, 10, 20]
    many = Fleet(fleet.rulebook)
    many.enter([PumpEntry(number, f"q{number}", ROTOR) for number in range(3000)])
    held = [array for array in vars(many.limits).values() if isinstance(array, np.ndarray)]
    assert sum(array.nbytes for array in held) < 3000 * 80
