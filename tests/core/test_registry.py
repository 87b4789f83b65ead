"""What the registry's CSV says, and how every mistake in it is told."""

import csv
import io
import math
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.reading import DrugClass
from service.core.registry import COLUMNS, RegistryEntry, csv_lines, entry_of, facts_of, parse_registry

HEADER = ",".join(COLUMNS)
ROW = "p1,north,Europe/Zurich,rotor-20,rotor,computed,20,baclofen,baclofen,500,60,2026-12-31,true,false,300,2023-05-17"
ENTRY = RegistryEntry(
    pump_id="p1",
    site="north",
    time_zone="Europe/Zurich",
    model="rotor-20",
    flow_channel="rotor",
    reservoir_channel="computed",
    capacity_ml=20.0,
    drug="baclofen",
    drug_class=DrugClass.BACLOFEN,
    concentration_ug_ml=500.0,
    interval_s=60.0,
    next_refill_on=date(2026, 12, 31),
    bolus_daily_cap_ul=300.0,
    implanted_on=date(2023, 5, 17),
)


def told(*rows: str, header: str = HEADER) -> list[str]:
    """The problems of a file, as a person reads them."""
    _, problems = parse_registry("\n".join([header, *rows]), {"UTC", "Europe/Zurich"})
    return [f"{problem.line}: {problem.message}" for problem in problems]


def test_a_file_is_read_however_a_spreadsheet_has_written_it() -> None:
    plain = parse_registry(f"{HEADER}\n{ROW}\n")
    assert plain == ([ENTRY], [])
    assert parse_registry(f"\ufeff{HEADER}\r\n\r\n{ROW}\r\n,,,,,,,,,,,,,,,\r\n") == plain
    quoted = ",".join(f'" {cell} "' for cell in ROW.split(","))
    assert parse_registry(f"{HEADER}\n{quoted}") == plain
    turned = ",".join(reversed(COLUMNS)), ",".join(reversed(ROW.split(",")))
    assert parse_registry("\n".join(turned)) == plain


def test_what_may_be_left_empty_takes_its_default() -> None:
    entries, problems = parse_registry(f"{HEADER}\np1,north,,,sensor,sensor,40,,opioid,,60,,,,,")
    assert problems == []
    entry = entries[0]
    assert (entry.time_zone, entry.model, entry.drug, entry.concentration_ug_ml) == ("UTC", "unknown", "unknown", None)
    assert (entry.next_refill_on, entry.in_service, entry.simulated) == (None, True, False)


def test_a_file_from_before_patient_boluses_and_dates_of_implantation_is_still_read() -> None:
    before = ",".join(COLUMNS[:14]), ",".join(ROW.split(",")[:14])
    assert parse_registry("\n".join(before)) == (
        [msgspec.structs.replace(ENTRY, bolus_daily_cap_ul=None, implanted_on=None)],
        [],
    )


def test_the_rules_are_told_what_depends_on_the_pump() -> None:
    facts = facts_of(ENTRY)
    assert facts[:5] == (DrugClass.BACLOFEN, False, False, 20.0, 60.0)
    assert facts[5:8] == (300.0, 1_684_281_600_000.0, "north")
    assert all(math.isnan(told) for told in facts[8:])  # an exam is no part of the entry: a clinician tells of it
    unknown = facts_of(msgspec.structs.replace(ENTRY, bolus_daily_cap_ul=None, implanted_on=None))
    assert (unknown.bolus_daily_cap_ul, math.isnan(unknown.implanted_ms)) == (0.0, True)


def test_every_mistake_is_told_with_its_line_and_its_field() -> None:
    wrong = 'p 2,,Europe/Zurch,"a\x00b",flow,computed,nan,baclofen,coke,-1,0,tomorrow,maybe,1,0,2023'
    assert told(ROW, wrong, "a,b", ROW.replace("p1", "p3").replace("Europe/Zurich", "Mars/Base"), "", ROW) == [
        "3: pump_id: must be 1 to 64 of A-Z a-z 0-9 _ -, not 'p 2'",
        "3: site: missing; must be 1 to 64 of A-Z a-z 0-9 _ -",
        "3: model: must be 1 to 100 printable characters, no blank at either end, not 'a\\x00b'",
        "3: flow_channel: must be rotor or sensor, not 'flow'",
        "3: capacity_ml: must be a number above 0 and at most 100 (mL), not 'nan'",
        "3: drug_class: must be one of baclofen, opioid, clonidine, ziconotide, bupivacaine, unknown, not 'coke'",
        "3: concentration_ug_ml: must be a number above 0 and at most 1000000 (ug/mL), or empty, not '-1'",
        "3: interval_s: must be a number from 0.1 to 86400 (s), not '0'",
        "3: next_refill_on: must be a date such as 2026-12-31, or empty, not 'tomorrow'",
        "3: in_service: must be true or false, not 'maybe'",
        "3: bolus_daily_cap_ul: must be a number above 0 and at most 100000 (uL), or empty, not '0'",
        "3: implanted_on: must be a date such as 2026-12-31, or empty, not '2023'",
        "4: 2 cells, and the header has 16",
        "5: time_zone: 'Mars/Base' is not a known IANA time zone",
        "7: pump_id: p1 is already on line 2",
    ]


def test_a_problem_in_a_row_of_several_lines_is_told_at_its_first() -> None:
    rows = ROW.replace("rotor-20", '"two\nlines"'), ROW.replace("p1", "p 2")
    assert [problem.partition(":")[0] for problem in told(*rows)] == ["2", "4"]


def test_a_file_that_is_no_registry_is_told_so_once() -> None:
    assert told(header="pump_id,x,x") == [
        f"1: missing column {', '.join(map(repr, COLUMNS[1:14]))}; unknown column 'x', 'x'; twice column 'x'"
    ]
    assert told(header="") == [f"1: empty: the first line must be {HEADER}"]
    assert told(ROW, 'p2,"north') == ["3: not CSV: unexpected end of data"]


@pytest.mark.parametrize("name", ["north\n", "\ud800", " north", "", "n" * 101, "a\u2028b"])
def test_no_name_that_could_not_be_stored_or_shown_passes(name: str) -> None:
    given_entry = {"pump_id": "p1", "site": "north", "flow_channel": "rotor", "reservoir_channel": "computed"}
    given_entry |= {"capacity_ml": 20, "drug_class": "opioid", "interval_s": 60}
    assert isinstance(entry_of(given_entry), RegistryEntry)
    mistakes = entry_of(given_entry | {"site": name, "drug": name, "pump_id": name})
    assert isinstance(mistakes, list)
    assert [field for field, _ in mistakes] == ["pump_id", "site", "drug"]


def test_json_is_taken_by_its_types_and_every_mistake_is_told() -> None:
    assert entry_of({"pump_id": "p1", "capacity_ml": "20", "interval_s": True, "size": 3}) == [
        ("site", "missing; must be 1 to 64 of A-Z a-z 0-9 _ -"),
        ("flow_channel", "missing; must be rotor or sensor"),
        ("reservoir_channel", "missing; must be computed or sensor"),
        ("capacity_ml", "must be a number above 0 and at most 100 (mL), not '20'"),
        ("drug_class", "missing; must be one of baclofen, opioid, clonidine, ziconotide, bupivacaine, unknown"),
        ("interval_s", "must be a number from 0.1 to 86400 (s), not True"),
        ("size", "not a field of the registry"),
    ]


WORDS = st.text("abcXYZ019_-", min_size=1, max_size=64)
NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=100)


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            RegistryEntry,
            pump_id=WORDS,
            site=WORDS,
            model=NAMES,
            drug=NAMES,
            flow_channel=st.sampled_from(["rotor", "sensor"]),
            reservoir_channel=st.sampled_from(["computed", "sensor"]),
            capacity_ml=st.floats(0.001, 100),
            drug_class=st.sampled_from(DrugClass),
            concentration_ug_ml=st.none() | st.floats(0.001, 1e6),
            interval_s=st.floats(0.1, 86400),
            next_refill_on=st.none() | st.dates(),
            in_service=st.booleans(),
            simulated=st.booleans(),
            bolus_daily_cap_ul=st.none() | st.floats(0.001, 1e5),
            implanted_on=st.none() | st.dates(),
        ),
        unique_by=lambda entry: entry.pump_id,
        max_size=5,
    )
)
def test_what_is_exported_is_imported_as_it_was(entries: list[RegistryEntry]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(csv_lines(entries))
    assert parse_registry(text.getvalue()) == (entries, [])


@settings(max_examples=200)
@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for whole in (text, f"{HEADER}\n{text}"):
        entries, problems = parse_registry(whole)
        assert all(problem.line >= 1 and problem.message for problem in problems)
        assert entries == [] or whole.startswith(HEADER)


def test_what_would_be_stored_as_nothing_is_none() -> None:
    for field in ("capacity_ml", "concentration_ug_ml", "bolus_daily_cap_ul"):
        given = {**msgspec.to_builtins(ENTRY), field: 1e-60}
        assert [name for name, _ in entry_of(given)] == [field]
