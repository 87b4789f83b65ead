"""Which limits and priorities are in force, and what is wrong with a rulebook, by line."""

import pytest

from service.core.advice import DO_NOW
from service.core.change import Condition, Priority, Standing
from service.core.contradiction import PAIRS
from service.core.limits import LIMITS
from service.core.override import FLOOR, Override, Scope, Whose
from service.core.priorities import PRIORITIES
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, Problem, Rulebook, parse_kept, parse_rulebook
from service.core.rulebook_check import read_one
from tests.pumps import NOON_MS, SENSOR

ANSWERED = "reason = 'x'\nauthor = 'y'\nexpires = 2027-01-01\n"
TEXT = f"""\
[stall]
missed_ul = 8
for_s = 900

[priority]
under_delivery = "high"

[drug_class.baclofen.stall]
missed_ul = 6
[drug_class.opioid.priority]
reservoir_low = {{ value = ["low", "low", "medium"], reason = "weekly visits", author = "Dr. A" }}
[site.north.stall]
for_s = 600
{ANSWERED}
[pump.P1.stall]
missed_ul = 5
{ANSWERED}
"""


def parsed(text: str) -> Rulebook:
    found = parse_rulebook(text)
    assert isinstance(found, Rulebook), found
    return found


def test_pump_goes_before_site_before_drug_class_before_everybody_before_the_default() -> None:
    rulebook = parsed(TEXT)
    assert rulebook.limit("stall", "missed_ul", DrugClass.BACLOFEN) == 6
    assert rulebook.limit("stall", "missed_ul", DrugClass.OPIOID) == 8
    assert rulebook.limit("stall", "missed_ul", DrugClass.BACLOFEN, site="north", pump_id="P1") == 5
    assert rulebook.limit("stall", "for_s", DrugClass.BACLOFEN, site="north", pump_id="P1") == 600
    assert rulebook.limit("stall", "for_s", DrugClass.BACLOFEN, site="south") == 900
    assert rulebook.limit("stall", "clear_for_s", site="north") == LIMITS["stall"]["clear_for_s"].default
    row = rulebook.limits_row(SENSOR._replace(site="north"), "P1")
    assert (row["stall_missed_ul"], row["stall_for_s"]) == (5, 600)


def test_priority_depends_on_condition_drug_class_step_and_layer() -> None:
    assert DEFAULT_RULEBOOK.priority(Condition.STALL, DrugClass.BACLOFEN, 2) is Priority.HIGH
    assert DEFAULT_RULEBOOK.priority(Condition.STALL, DrugClass.ZICONOTIDE, 2) is Priority.MEDIUM
    assert DEFAULT_RULEBOOK.priority(Condition.RESERVOIR_LOW, DrugClass.UNKNOWN, 3) is Priority.HIGH
    assert DEFAULT_RULEBOOK.priority(Condition.RESERVOIR_LOW, DrugClass.UNKNOWN, 1) is Priority.LOW
    rulebook = parsed(TEXT + f"[pump.P2.battery_end]\npriority = 'low'\n{ANSWERED}")
    assert rulebook.priority(Condition.RESERVOIR_LOW, DrugClass.OPIOID, 3) is Priority.MEDIUM
    assert rulebook.priority(Condition.UNDER_DELIVERY, DrugClass.OPIOID, 1) is Priority.HIGH
    assert rulebook.priority(Condition.BATTERY_END, DrugClass.OPIOID, 1, pump_id="P2") is Priority.LOW
    assert rulebook.priority(Condition.BATTERY_END, DrugClass.OPIOID, 1, pump_id="P1") is Priority.HIGH


@pytest.mark.parametrize("drug_class", DrugClass)
@pytest.mark.parametrize("condition", Condition)
def test_every_condition_has_a_priority_and_says_what_to_do(condition: Condition, drug_class: DrugClass) -> None:
    priorities = [DEFAULT_RULEBOOK.priority(condition, drug_class, step) for step in (1, 2, 3)]
    assert [priority.rank for priority in priorities] == sorted(priority.rank for priority in priorities)
    assert DEFAULT_RULEBOOK.do_now(condition) == DO_NOW[condition]
    assert priorities[: len(PRIORITIES[condition])] == [
        DEFAULT_RULEBOOK.priority(condition, drug_class, step + 1) for step in range(len(PRIORITIES[condition]))
    ]


def test_what_has_expired_is_not_in_force_and_what_a_person_set_goes_before_the_file() -> None:
    rulebook = parsed("[pump.P1.stall]\nmissed_ul = 5\nreason='x'\nauthor='y'\nexpires=2026-11-22T12:00:00Z\n")
    over = Override(Scope.PUMP, "P1", "stall", "missed_ul", 4.0, "x", "y", NOON_MS + 1, number=7)
    joined = rulebook.joined([over])
    in_force = [joined.at(NOON_MS + ms).limit("stall", "missed_ul", pump_id="P1") for ms in (-1, 0, 1)]
    assert in_force == [4, 4, 10]
    assert [rulebook.at(NOON_MS + ms).limit("stall", "missed_ul", pump_id="P1") for ms in (-1, 0)] == [5, 10]
    assert joined.at(NOON_MS - 1).version != joined.at(NOON_MS).version != joined.at(NOON_MS + 1).version


def test_a_date_expires_when_it_is_over() -> None:
    (override,) = parsed("[pump.P1.stall]\nfor_s = 600\nreason='x'\nauthor='y'\nexpires=2026-11-22\n").overrides
    assert override.expires_ms == NOON_MS + 12 * 3_600_000


def test_a_condition_is_switched_off_or_put_in_shadow_for_those_that_it_says() -> None:
    text = f"[battery_end]\nshadow = true\nreason = 'new'\n[site.north.battery_end]\nenabled = false\n{ANSWERED}"
    rulebook = parsed(text)
    assert rulebook.standing(Condition.BATTERY_END, Whose()) is Standing.SHADOW
    assert rulebook.standing(Condition.BATTERY_END, Whose(site="north")) is Standing.OFF
    assert rulebook.standing(Condition.STALL, Whose(site="north")) is Standing.TOLD


@pytest.mark.parametrize("condition", sorted(FLOOR))
@pytest.mark.parametrize("said", ["enabled = false", "shadow = true"])
def test_what_protects_life_can_be_tuned_but_not_taken_away(condition: Condition, said: str) -> None:
    for table in (condition, f"pump.P1.{condition}"):
        problems = parse_rulebook(f"[{table}]\n{said}\n{ANSWERED}")
        assert isinstance(problems, list)
        assert "cannot be" in problems[0].message


def test_a_version_names_what_is_in_force_not_how_it_is_written() -> None:
    assert parsed(TEXT).version == parsed(f"# said differently\n{TEXT}").version != DEFAULT_RULEBOOK.version
    assert parsed("stall.missed_ul = 8.0").version == parsed("[stall]\n  'missed_ul' = 8").version


def test_the_text_of_what_is_in_force_is_read_back_as_the_same_rules() -> None:
    over = Override(Scope.PUMP, "P1", "stall", "missed_ul", 4.0, 'a "quoted" word\\', "Zoë", NOON_MS, number=7)
    of_file, whole = parse_kept(parsed(TEXT).joined([over]).text)
    assert of_file.version == parsed(TEXT).version
    assert whole.text == parsed(TEXT).joined([over]).text
    assert whole.limit("stall", "missed_ul", pump_id="P1") == 4
    assert parse_kept("not TOML at all") == (DEFAULT_RULEBOOK, DEFAULT_RULEBOOK)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[stall]\n\nmissed_ul = -1", 3, "stall.missed_ul: -1 is outside 1 to 100 µL"),
        ("[stall]\nmissed_ul = nan", 2, "is outside"),
        ("[stall]\nmissed_ul = inf", 2, "inf is outside"),
        ("[stall]\nmissed_ul = true", 2, "expected a number (µL)"),
        ("[stall]\nmissed_ul = '8'", 2, "expected a number (µL)"),
        ("[stall]\nmissed_ul = [8]", 2, "expected a number (µL)"),
        ("[stall]\nmissed_ul = {}", 2, "expected a value"),
        ("[stall]\nmissed_ul = {value = 8, because = 'x'}", 2, "expected value, reason, author, expires"),
        ("[stall]\nmised_ul = 3", 2, "no such limit; known are missed_ul"),
        ("stall.missed_ul = 1000", 1, "is outside"),
        ("\n[stal]\nx = 1", 2, "stal: no such condition"),
        ("stall = 3", 1, "expected a table"),
        ("pump = 3", 1, "expected tables"),
        ("[pump]\np1 = 3", 2, "expected tables"),
        ("[drug_class.aspirin.stall]\nmissed_ul = 3", 1, "no such drug class"),
        ("[drug_class.baclofen.stall]\n# comment\nfor_s = 1", 3, "drug_class.baclofen.stall.for_s: 1 is outside"),
        ("[drug_class.baclofen.stall]\nfor_s = 9000", 2, "less closely needs reason and author; missing: reason"),
        ("[drug_class.baclofen.priority]\nunder_delivery = 'low'", 2, "less closely needs reason and author"),
        ("[site.a.stall]\nfor_s = 600", 2, "needs reason, author and expires; missing: reason, author and expires"),
        ("[pump.a.stall]\nfor_s = 600\nreason='x'\nauthor='y'", 2, "missing: expires"),
        ("[pump.a.stall]\nauthor=''\nfor_s = 600\nreason='x'\nexpires=2027-01-01", 2, "expected a text"),
        ("[pump.a.stall]\nreason='x'\nauthor='y'\nexpires='soon'\nfor_s = 600", 4, "expected a date or a time"),
        ("[pump.a.stall]\nreason='x'\nauthor='y'\nexpires=08:00:00\nfor_s = 600", 4, "expected a date or a time"),
        ("[pump.'a b'.stall]\nfor_s = 600", 1, "expected 1 to 64"),
        ("[pump.a.announce]\nhold_s = 1", 1, "holds for all pumps at once"),
        ("[pump.a.site_silence]\nshare = 0.9", 1, "is judged for a site"),
        ("[battery_end]\nenabled = false", 2, "what is no longer announced needs reason"),
        ("[battery_end]\nenabled = 0", 2, "expected true or false"),
        ("[priority]\nunder_delivery = 'urgent'", 2, "expected one of high, medium, low"),
        ("[priority]\nreservoir_low = 'low'", 2, "expected a list of 3"),
        ("[priority]\nreservoir_low = ['low', 'high', 'medium']", 2, "a later step cannot be less urgent"),
        ("[priority]\nstall = ['low', 'low']", 2, "must be medium or high"),
        ("[priority]\nstal = 'low'", 2, "no such condition"),
        ("[reservoir_low]\n\nmedium_d = 20", 3, "medium_d 20 is above low_d 14: the earlier step would never be seen"),
        ("[stall]\nbelow_fraction = 0.4\nclear_above_fraction = 0.3", 2, "it would end while it begins"),
        ("[stall]\nmissed_ul = ", 2, "Invalid value"),
        ("[stall", 1, "Expected ']'"),
        ('x = """', 1, "Unterminated"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, said: str) -> None:
    problems = parse_rulebook(text)
    assert isinstance(problems, list)
    assert problems[0].line == line
    assert said in problems[0].message


def test_layers_that_are_sound_alone_and_contradict_each_other_together_are_named() -> None:
    low = "[drug_class.opioid.reservoir_low]\nlow_d = 10\nmedium_d = 5\nreason = 'x'\nauthor = 'y'\n"
    problems = parse_rulebook(f"{low}[site.north.reservoir_low]\nmedium_d = 12\n{ANSWERED}")
    assert isinstance(problems, list)
    assert [(problem.line, "with opioid" in problem.message) for problem in problems] == [(7, True)]


def test_every_mistake_is_named_not_only_the_first() -> None:
    problems = parse_rulebook("[stall]\nmissed_ul = -1\nfor_s = 'long'\n[reservoir_low]\nlow_d = 1000")
    assert [problem.line for problem in problems if isinstance(problem, Problem)] == [2, 3, 5]


def test_every_default_is_within_its_own_range_and_fits_the_others() -> None:
    for section, limits in LIMITS.items():
        for name, limit in limits.items():
            assert limit.least <= limit.default <= limit.most, f"{section}.{name}"
    tables = (
        f"[{section}]\n" + "".join(f"{n} = {each.default}\n" for n, each in of.items())
        for section, of in LIMITS.items()
    )
    assert parsed("".join(tables)).limits_row(SENSOR).tobytes() == DEFAULT_RULEBOOK.limits_row(SENSOR).tobytes()


def test_silence_waits_for_three_intervals_but_never_less_than_its_floor() -> None:
    assert DEFAULT_RULEBOOK.silence_after_s(60) == 180
    assert DEFAULT_RULEBOOK.silence_after_s(1) == 20
    longer = parsed(f"[pump.P1.silence]\nafter_intervals = 6\n{ANSWERED}")
    assert (longer.silence_after_s(60, pump_id="P1"), longer.silence_after_s(60, pump_id="P2")) == (360, 180)


def test_one_override_is_read_as_a_file_would_say_it_and_must_fit_those_that_it_joins() -> None:
    said = {"value": 12, "reason": "x", "author": "y"}
    over = parsed("[reservoir_low]\nlow_d = 10\n").overrides
    alone = read_one("drug_class", "opioid", "reservoir_low.medium_d", said, ())
    assert isinstance(alone, Override)
    assert alone.path == "drug_class.opioid.reservoir_low.medium_d"
    joined = read_one("drug_class", "opioid", "reservoir_low.medium_d", said, over)
    assert isinstance(joined, list)
    assert "the earlier step would never be seen" in joined[0]
    assert read_one("ward", "a", "stall.for_s", said, ()) == ["ward: expected drug_class, site, pump"]


def test_every_pair_that_must_fit_is_of_limits_that_there_are() -> None:
    assert all({pair.lesser, pair.greater} <= LIMITS[pair.section].keys() for pair in PAIRS)
