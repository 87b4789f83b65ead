"""What is odd in a rulebook is pointed at, and what differs between two is named limit by limit."""

from service.core.doubts import check_rulebook
from service.core.explanation import differences, explained
from service.core.override import Override, Scope, Whose
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from tests.pumps import NOON_MS

ODD = """\
[stall]
missed_ul = 10
for_s = 600
[site.south.stall]
for_s = { value = 600, reason = "x", author = "y", expires = 2027-01-01 }
[pump.P9.stall]
missed_ul = { value = 5, reason = "x", author = "y", expires = 2020-01-01 }
[battery_end]
enabled = false
reason = "x"
priority = "low"
"""


def parsed(text: str) -> Rulebook:
    found = parse_rulebook(text)
    assert isinstance(found, Rulebook)
    return found


def test_what_nobody_can_want_is_pointed_at_by_line() -> None:
    found = check_rulebook(ODD, NOON_MS, sites={"north"}, pump_ids={"P1"})
    assert all(problem.warning for problem in found)
    assert [(problem.line, problem.message) for problem in found] == [
        (2, "stall.missed_ul: is 10 without this, too"),
        (4, "site.south: the registry knows no such site"),
        (5, "site.south.stall.for_s: is 600 without this, too"),
        (6, "pump.P9: the registry knows no such pump"),
        (7, "pump.P9.stall.missed_ul: expired at 2020-01-02T00:00:00Z"),
        (11, "priority.battery_end: has no effect while the condition is switched off"),
    ]
    assert len(check_rulebook(ODD, NOON_MS)) == 4, "without a registry nobody is a stranger"
    assert [problem.warning for problem in check_rulebook("[stall]\nmissed_ul = 0", NOON_MS)] == [False]


def test_each_value_says_where_it_comes_from() -> None:
    over = Override(Scope.PUMP, "P1", "stall", "for_s", 900.0, "trial", "doctor", NOON_MS, number=3)
    rulebook = parsed("[drug_class.baclofen.stall]\nmissed_ul = 6\n").joined([over])
    said = {f"{each.section}.{each.key}": each for each in explained(rulebook, Whose(DrugClass.BACLOFEN, "", "P1"))}
    assert (said["stall.missed_ul"].value, said["stall.missed_ul"].source) == (6, "file: drug_class baclofen")
    assert (said["stall.for_s"].value, said["stall.for_s"].source) == (900, "set over it: pump P1")
    assert (said["stall.for_s"].default, said["stall.for_s"].unit) == (1200, "s")
    assert said["stall.clear_for_s"].source == "default"
    assert (said["battery_end.enabled"].value, said["battery_end.shadow"].value) == (True, False)


def test_two_rulebooks_differ_where_a_value_differs() -> None:
    before = parsed("[stall]\nmissed_ul = 8\nfor_s = 900\n")
    after = parsed(
        "[stall]\nmissed_ul = 8\n[priority]\nunder_delivery = 'high'\n[drug_class.opioid.stall]\nfor_s = 600\n"
    )
    assert [(each.path, each.before, each.after) for each in differences(before, after)] == [
        ("drug_class.opioid.stall.for_s", None, 600),
        ("priority.under_delivery", ("medium",), ("high",)),
        ("stall.for_s", 900, 1200),
    ]
    assert list(differences(parsed("[stall]\nmissed_ul = 10\n"), DEFAULT_RULEBOOK)) == []
