"""The structs say what docs/interface.md says."""

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec
import pytest

from service.core.payload import EVENT_TYPE, LAST_TIME_MS, READ, AnyEvent, Event, Telemetry, WireMode
from service.core.reading import EventType, Mode
from service.core.rejection import Reason
from service.core.validate import RANGES

INTERFACE = (Path(__file__).parents[2] / "docs" / "interface.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    section = INTERFACE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([a-z_0-9]+)`", cell)


def test_telemetry_has_the_documented_keys() -> None:
    documented = {key: f"{kind}, {meaning}" for keys, kind, meaning, _ in table("Telemetry") for key in words(keys)}
    fields = {field.name: field for field in msgspec.structs.fields(Telemetry)}
    assert set(documented) == set(fields)
    optional = {name for name, text in documented.items() if "optional" in text or "default" in text}
    assert optional == {name for name, field in fields.items() if not field.required}


def test_the_documented_ranges_are_those_that_are_checked() -> None:
    for keys, _, cell, _ in table("Telemetry"):
        for key in words(keys):
            numbers = re.findall(r"0 … (10⁹|[\d,]+)", cell)
            if key in RANGES:
                [highest] = numbers
                assert RANGES[key] == (0, 1e9 if highest == "10⁹" else float(highest.replace(",", ""))), key
            elif key == "time_ms":
                assert int(numbers[0]) == LAST_TIME_MS


def test_the_documented_modes_are_those_of_the_core() -> None:
    [modes] = [words(cell) for keys, _, cell, _ in table("Telemetry") if words(keys) == ["mode"]]
    assert modes == [mode.name.lower() for mode in Mode] == [mode.value for mode in WireMode]
    assert [WireMode(name) for name in modes] == [bytes([mode]) for mode in Mode]


def test_every_event_has_the_documented_keys() -> None:
    documented = {name: documented_keys(cell) for names, cell, _ in table("Events") for name in words(names)}
    common = set(Event.__struct_fields__)
    assert documented == {
        form.__struct_config__.tag: {
            field.name: field.required for field in msgspec.structs.fields(form) if field.name not in common
        }
        for form in get_args(AnyEvent)
    }


def documented_keys(cell: str) -> dict[str, bool]:
    """Each further key of an event, and whether it is required: `key` (unit, optional), or `key`: `value` `value`."""
    without_values = re.sub(r"(?<=`): (`[a-z_0-9]+` ?)+", "", cell)
    parts = re.findall(r"`([a-z_0-9]+)`(?: \(([^)]*)\))?", without_values)
    return {key: "optional" not in remark for key, remark in parts}


def test_every_code_of_an_event_is_documented() -> None:
    documented = {
        (name, key): words(values)
        for names, cell, _ in table("Events")
        for name in words(names)
        for key, values in re.findall(r"`([a-z_]+)`: ((?:`[a-z_0-9]+` ?)+)", cell)
    }
    read = {
        (form.__struct_config__.tag, field.name): list(get_args(field.type))
        for form in get_args(AnyEvent)
        for field in msgspec.structs.fields(form)
        if get_origin(field.type) is Literal
    }
    assert documented == {where: codes for where, codes in read.items() if where[1] != "mode"}


def test_every_event_is_stored_under_its_own_type() -> None:
    stored = {form.__struct_config__.tag: kind.name.lower() for form, kind in EVENT_TYPE.items()}
    assert stored == {name: name for name in stored}
    assert len(stored) == len(EventType) - 1


def test_every_reason_is_documented() -> None:
    assert {reason for names, _ in table("Quarantine") for reason in words(names)} == set(Reason)


@pytest.mark.parametrize("kind", READ)
def test_only_the_documented_first_bytes_are_read(kind: bytes) -> None:
    refused = READ[kind][0]
    read = {byte for byte, how in enumerate(READ[kind]) if how is not refused}
    assert read == {*b"{ \t\r\n", *range(0x80, 0x90), 0xDE, 0xDF}
