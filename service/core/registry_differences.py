"""What would an import change? The registry before and after, pump by pump, field by field."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from service.core.registry import COLUMNS, RegistryEntry


class Field(NamedTuple):
    """One value that is another one afterwards, as the CSV would say it; empty: not known."""

    name: str
    before: str
    after: str


class Difference(NamedTuple):
    pump_id: str
    fields: tuple[Field, ...]
    """None: the pump is new."""

    @property
    def is_new(self) -> bool:
        return not self.fields


def differences(before: Iterable[RegistryEntry], after: Iterable[RegistryEntry]) -> list[Difference]:
    """Of every pump of `after` that is not listed, or listed otherwise; in the order of `after`."""
    known = {entry.pump_id: entry for entry in before}
    return [
        Difference(entry.pump_id, _fields(known[entry.pump_id], entry) if entry.pump_id in known else ())
        for entry in after
        if known.get(entry.pump_id) != entry
    ]


def _fields(before: RegistryEntry, after: RegistryEntry) -> tuple[Field, ...]:
    was, becomes = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return tuple(Field(name, _said(was[name]), _said(becomes[name])) for name in COLUMNS if was[name] != becomes[name])


def _said(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
    return str(value)
