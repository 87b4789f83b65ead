"""What is known of a pump that it cannot say itself? The registry entry, and its CSV, with every mistake named."""

import csv
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec

from service.core.reading import DrugClass
from service.core.rulebook import Problem, PumpFacts

# `$` alone would let a line feed pass at the end.
_WORD: Final = r"^[A-Za-z0-9_-]{1,64}$(?!\n)"
_UNPRINTABLE: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_PRINTABLE: Final = rf"^[^\s{_UNPRINTABLE}]([^{_UNPRINTABLE}]*[^\s{_UNPRINTABLE}])?$(?!\n)"
_NOTHING: Final = 1e-30
"""What is stored as a `real` and is no more than this may be stored as 0."""
PumpId = Annotated[str, msgspec.Meta(pattern=_WORD, description="as in the topic")]
Site = Annotated[str, msgspec.Meta(pattern=_WORD)]
Name = Annotated[str, msgspec.Meta(pattern=_PRINTABLE, max_length=100)]


class RegistryEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pump, as its clinic knows it. The same record in the CSV, in the API and in `rules backtest --registry`."""

    pump_id: PumpId
    site: Site
    time_zone: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}$(?!\n)", description="IANA name")] = "UTC"
    model: Name = "unknown"
    flow_channel: Literal["rotor", "sensor"]
    reservoir_channel: Literal["computed", "sensor"]
    capacity_ml: Annotated[float, msgspec.Meta(gt=_NOTHING, le=100, description="mL")]
    drug: Name = "unknown"
    drug_class: DrugClass
    concentration_ug_ml: Annotated[float, msgspec.Meta(gt=_NOTHING, le=1e6, description="µg/mL")] | None = None
    interval_s: Annotated[float, msgspec.Meta(ge=0.1, le=86400, description="usual spacing of readings, s")]
    next_refill_on: date | None = None
    in_service: bool = True
    simulated: bool = False
    bolus_daily_cap_ul: (
        Annotated[float, msgspec.Meta(gt=_NOTHING, le=1e5, description="most of patient boluses in 24 h, µL")] | None
    ) = None
    implanted_on: date | None = None


COLUMNS: Final = RegistryEntry.__struct_fields__
REQUIRED: Final = tuple(
    field.name for field in msgspec.structs.fields(RegistryEntry) if field.default is msgspec.NODEFAULT
)
# Added after the first release: a file without them is still read.
_MAY_LACK: Final = ("bolus_daily_cap_ul", "implanted_on")
_WORDS: Final = "1 to 64 of A-Z a-z 0-9 _ -"
_NAMES: Final = "1 to 100 printable characters, no blank at either end"
_NUMBER: Final = "a number"
_TRUTH: Final = "true or false"
_DATE: Final = "a date such as 2026-12-31, or empty"
_EXPECTED: Final = {
    "pump_id": _WORDS,
    "site": _WORDS,
    "time_zone": "a time zone such as Europe/Zurich",
    "model": _NAMES,
    "flow_channel": "rotor or sensor",
    "reservoir_channel": "computed or sensor",
    "capacity_ml": f"{_NUMBER} above 0 and at most 100 (mL)",
    "drug": _NAMES,
    "drug_class": f"one of {', '.join(DrugClass)}",
    "concentration_ug_ml": f"{_NUMBER} above 0 and at most 1000000 (ug/mL), or empty",
    "interval_s": f"{_NUMBER} from 0.1 to 86400 (s)",
    "next_refill_on": _DATE,
    "in_service": _TRUTH,
    "simulated": _TRUTH,
    "bolus_daily_cap_ul": f"{_NUMBER} above 0 and at most 100000 (uL), or empty",
    "implanted_on": _DATE,
}
_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(RegistryEntry)}


def parse_registry(text: str, time_zones: Collection[str] = ()) -> tuple[list[RegistryEntry], list[Problem]]:
    """Read the CSV of docs/interface.md: the entries in file order, and every problem in line order.

    A row with a problem has no entry. `time_zones` are the names that exist; empty: they are not checked.
    """
    rows = csv.reader((f"{line}\n" for line in text.removeprefix("\ufeff").split("\n")), strict=True)
    entries: list[RegistryEntry] = []
    problems: list[Problem] = []
    first_line_of: dict[str, int] = {}
    header: list[str] | None = None
    line = 1
    try:
        for cells in rows:
            line, began_on = rows.line_num + 1, line
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if wrong := _wrong_header(header):
                    return [], [Problem(began_on, wrong)]
                continue
            entry, mistakes = _entry(header, cells, time_zones)
            problems += [Problem(began_on, mistake) for mistake in mistakes]
            if entry is None:
                continue
            earlier = first_line_of.setdefault(entry.pump_id, began_on)
            if earlier != began_on:
                problems.append(Problem(began_on, f"pump_id: {entry.pump_id} is already on line {earlier}"))
            else:
                entries.append(entry)
    except csv.Error as error:
        return [], [*problems, Problem(line, f"not CSV: {error}")]
    if header is None:
        problems.append(Problem(1, f"empty: the first line must be {','.join(COLUMNS)}"))
    return entries, problems


def entry_of(given: Mapping[str, Any], time_zones: Collection[str] = ()) -> RegistryEntry | list[tuple[str, str]]:
    """Read the entry from values of JSON; else every mistake as (field, what)."""
    return _convert(given, strict=True, time_zones=time_zones)


def facts_of(entry: RegistryEntry) -> PumpFacts:
    """What the rules depend on."""
    return PumpFacts(
        entry.drug_class,
        flow_sensor=entry.flow_channel == "sensor",
        reservoir_sensor=entry.reservoir_channel == "sensor",
        capacity_ml=entry.capacity_ml,
        interval_s=entry.interval_s,
        bolus_daily_cap_ul=entry.bolus_daily_cap_ul or 0.0,
        implanted_ms=midnight_ms(entry.implanted_on),
        site=entry.site,
    )


def midnight_ms(day: date | None) -> float:
    """When the day began (UTC); NaN for a day that is not known."""
    return math.nan if day is None else (day - date(1970, 1, 1)).days * 86_400_000.0


def csv_lines(entries: Sequence[RegistryEntry]) -> Iterator[list[str]]:
    """The cells that `parse_registry` reads back as the same entries, header first."""
    yield list(COLUMNS)
    for entry in entries:
        yield [_cell(value) for value in msgspec.structs.astuple(entry)]


def _wrong_header(header: list[str]) -> str:
    missing = [name for name in COLUMNS if name not in header and name not in _MAY_LACK]
    unknown = [name for name in header if name not in COLUMNS]
    twice = sorted({name for name in header if header.count(name) > 1})
    faults = [("missing", missing), ("unknown", unknown), ("twice", twice)]
    return "; ".join(f"{what} column {', '.join(map(repr, names))}" for what, names in faults if names)


def _entry(header: list[str], cells: list[str], time_zones: Collection[str]) -> tuple[RegistryEntry | None, list[str]]:
    if len(cells) != len(header):
        return None, [f"{len(cells)} cells, and the header has {len(header)}"]
    given = {name: text for name, cell in zip(header, cells, strict=True) if (text := cell.strip())}
    result = _convert(given, strict=False, time_zones=time_zones)
    if isinstance(result, RegistryEntry):
        return result, []
    return None, [f"{name}: {what}" for name, what in result]


def _convert(
    given: Mapping[str, Any], *, strict: bool, time_zones: Collection[str]
) -> RegistryEntry | list[tuple[str, str]]:
    try:
        entry = msgspec.convert(given, RegistryEntry, strict=strict)
    except msgspec.ValidationError:
        # It stops at the first mistake; a person wants them all.
        return list(_mistakes(given, strict=strict))
    if time_zones and entry.time_zone not in time_zones:
        return [("time_zone", f"{entry.time_zone!r} is not a known IANA time zone")]
    return entry


def _mistakes(given: Mapping[str, Any], *, strict: bool) -> Iterator[tuple[str, str]]:
    for name in COLUMNS:
        if name not in given:
            if name in REQUIRED:
                yield name, f"missing; must be {_EXPECTED[name]}"
            continue
        try:
            msgspec.convert(given[name], _TYPES[name], strict=strict)
        except msgspec.ValidationError:
            yield name, f"must be {_EXPECTED[name]}, not {_shown(given[name])}"
    for name in given:
        if name not in COLUMNS:
            yield str(name), "not a field of the registry"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
