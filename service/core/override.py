"""What is an override? One value that stands in place of a default: for everybody, a drug class, a site or a pump."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from service.core.change import Condition, Priority
from service.core.reading import DrugClass

FLOOR: Final = frozenset({Condition.STALL, Condition.RESERVOIR_EMPTY, Condition.OVER_DELIVERY_GROSS, Condition.SILENCE})
"""Conditions that nobody can switch off or put in shadow; their limits can be tuned within their ranges."""

ENABLED, SHADOW, PRIORITY = "enabled", "shadow", "priority"
"""The keys of a condition beside its limits."""


class Scope(StrEnum):
    """For whom an override holds; a later one wins."""

    ALL = "all"
    DRUG_CLASS = "drug_class"
    SITE = "site"
    PUMP = "pump"


class Whose(NamedTuple):
    """Which overrides hold: those of this class, this site and this pump."""

    drug_class: DrugClass = DrugClass.UNKNOWN
    site: str = ""
    pump_id: str = ""

    def names(self) -> tuple[tuple[Scope, str], ...]:
        """The layers, the nearest one first."""
        return (
            (Scope.PUMP, self.pump_id),
            (Scope.SITE, self.site),
            (Scope.DRUG_CLASS, str(self.drug_class)),
            (Scope.ALL, ""),
        )


Value = float | bool | tuple[Priority, ...]


class Override(NamedTuple):
    """`section` is a condition (or `announce`), `key` one of its limits, or `enabled`, `shadow`, `priority`."""

    scope: Scope
    name: str  # whose; empty for everybody
    section: str
    key: str
    value: Value
    reason: str = ""
    author: str = ""
    expires_ms: int | None = None
    number: int = 0  # of the row in the database, -1: not known; 0: it stands in the file

    @property
    def path(self) -> str:
        """As a rulebook file would name it."""
        inner = f"{PRIORITY}.{self.section}" if self.key == PRIORITY else f"{self.section}.{self.key}"
        return inner if self.scope is Scope.ALL else f"{self.scope}.{self.name}.{inner}"

    def in_force(self, now_ms: int) -> bool:
        return self.expires_ms is None or now_ms < self.expires_ms


def canonical(overrides: Iterable[Override]) -> str:
    """The overrides as a rulebook file: equal ones give equal texts, whatever order and layout they came in."""
    ordered = sorted(overrides, key=_table)
    blocks = []
    for table, some in groupby(ordered, key=_table):
        lines = sorted(_line(override) for override in some)
        blocks.append("\n".join([f"[{'.'.join(table)}]", *lines]))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def shown_value(value: Value) -> str:
    """As TOML, and as people read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        words = ", ".join(f'"{word}"' for word in value)
        return words if len(value) == 1 else f"[{words}]"
    return repr(int(value)) if value == int(value) else repr(float(value))


def shown_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(override: Override) -> tuple[str, ...]:
    section = PRIORITY if override.key == PRIORITY else override.section
    return (section,) if override.scope is Scope.ALL else (override.scope, _quoted(override.name), section)


def _line(override: Override) -> str:
    key = override.section if override.key == PRIORITY else override.key
    value = shown_value(override.value)
    parts = [f"value = {value}"]
    parts += [f"{name} = {_quoted(text)}" for name in ("reason", "author") if (text := getattr(override, name))]
    if override.expires_ms is not None:
        parts.append(f"expires = {datetime.fromtimestamp(override.expires_ms / 1000, UTC).isoformat()}")
    return f"{key} = {value}" if len(parts) == 1 else f"{key} = {{ {', '.join(parts)} }}"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
