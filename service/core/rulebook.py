"""Which limits and priorities are in force? Defaults, then the rulebook file, then its overrides for a drug class.

A rulebook is a TOML file: one table a condition with its limits, `[drug_class.CLASS.CONDITION]` for overrides,
`[priority]` with one word for a condition, or one a step, and `[drug_class.CLASS.priority]` likewise.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from service.core.change import Condition, Priority
from service.core.limits import LIMITS, LIMITS_ROW
from service.core.reading import DrugClass, Items

_UNGUARDED: Final = (DrugClass.ZICONOTIDE, DrugClass.BUPIVACAINE)  # no recognised withdrawal: docs/rules.md
_H, _M, _L = Priority.HIGH, Priority.MEDIUM, Priority.LOW

_PRIORITIES: Final[dict[Condition, tuple[Priority, ...]]] = {
    Condition.STALL: (_M, _H),
    Condition.STALL_FLUTTER: (_M,),
    Condition.OVER_DELIVERY_GROSS: (_H,),
    Condition.OVER_DELIVERY: (_M,),
    Condition.UNDER_DELIVERY_GROSS: (_H,),
    Condition.UNDER_DELIVERY: (_M,),
    Condition.FLOW_WHILE_STOPPED: (_H,),
    Condition.RESERVOIR_LOW: (_L, _M, _H),
    Condition.RESERVOIR_EMPTY: (_H,),
    Condition.REFILL_MISMATCH: (_M, _H),
    Condition.LEVEL_DEVIATION: (_M,),
    Condition.BATTERY_LOW: (_L, _M, _H),
    Condition.BATTERY_END: (_H,),
    Condition.BATTERY_RESET: (_H,),
    Condition.PROGRAM_UNAUTHORISED: (_H,),
    Condition.STOPPED_LONG: (_M, _H),
    Condition.BOLUS_CAP: (_H,),
    Condition.BOLUS_DENIED: (_L,),
    Condition.MEMORY_ERROR: (_H,),
    Condition.SILENCE: (_L, _M, _H),
    Condition.TELEMETRY_LOCK: (_H,),
    Condition.SITE_SILENCE: (_M,),
    Condition.SEQUENCE_GAP: (_L,),
    Condition.CLOCK_OFF: (_L,),
    Condition.UNREGISTERED: (_L,),
}
_LESS_URGENT: Final[dict[Condition, tuple[Priority, ...]]] = {
    Condition.STALL: (_L, _M),
    Condition.UNDER_DELIVERY_GROSS: (_M,),
    Condition.RESERVOIR_LOW: (_L, _M, _M),
    Condition.RESERVOIR_EMPTY: (_M,),
    Condition.STOPPED_LONG: (_L, _M),
    Condition.SILENCE: (_L, _M, _M),
}
_DO_NOW: Final[dict[Condition, str]] = {
    Condition.STALL: "Reach the patient now and have the pump interrogated; be ready to treat withdrawal.",
    Condition.STALL_FLUTTER: "Ask about magnets near the pump; plan its replacement: a worn rotor stalls for good.",
    Condition.OVER_DELIVERY_GROSS: "Reach the patient now; watch breathing and alertness; have the pump interrogated.",
    Condition.OVER_DELIVERY: "Ask after drowsiness; have the pump interrogated and its residual volume compared.",
    Condition.UNDER_DELIVERY_GROSS: "Reach the patient; be ready to treat withdrawal; have pump and catheter checked.",
    Condition.UNDER_DELIVERY: "Ask after returning symptoms; have pump and catheter checked.",
    Condition.RESERVOIR_LOW: "Bring the refill visit forward so that it falls before the earliest date of emptiness.",
    Condition.FLOW_WHILE_STOPPED: "Reach the patient now; watch breathing and alertness; the pump should stand still.",
    Condition.RESERVOIR_EMPTY: "Refill now; be ready to treat withdrawal. Having run dry, it may later over-deliver.",
    Condition.REFILL_MISMATCH: (
        "Examine the patient for drug beside the pump, which acts within minutes to hours; compare what was drawn off."
    ),
    Condition.LEVEL_DEVIATION: "Have pump and catheter checked: the reservoir does not empty as the flow says.",
    Condition.BATTERY_LOW: "Plan the replacement of the pump before the date at which it ends its service.",
    Condition.BATTERY_END: "The pump no longer delivers: be ready to treat withdrawal and replace the pump.",
    Condition.BATTERY_RESET: "Have the pump interrogated and programmed again now; be ready to treat withdrawal.",
    Condition.PROGRAM_UNAUTHORISED: "Find out who changed the program; have the pump interrogated and put right.",
    Condition.STOPPED_LONG: "Confirm that the pump is meant to stand still; past two days its tubing takes harm.",
    Condition.BOLUS_CAP: "Reach the patient now; watch breathing and alertness; more boluses came than allowed.",
    Condition.BOLUS_DENIED: "Ask after pain that breaks through: the patient asks for more than is allowed.",
    Condition.MEMORY_ERROR: "Have the pump interrogated now: its program can no longer be relied upon.",
    Condition.SILENCE: "Nothing is known while a pump is silent: reach the patient and restore the connection.",
    Condition.TELEMETRY_LOCK: "Reach the patient now: it stood still when last heard; interrogating restarts it.",
    Condition.SITE_SILENCE: "Restore the site's connection: nothing is known of its pumps, which are listed.",
    Condition.SEQUENCE_GAP: "Nothing to do at the pump: what it measured in this span is lost for good.",
    Condition.CLOCK_OFF: "Have the pump's clock set at the next visit.",
    Condition.UNREGISTERED: "Enter this pump in the registry; until then it is watched with the strictest defaults.",
}


class Problem(NamedTuple):
    line: int
    message: str


class PumpFacts(NamedTuple):
    """What the registry says of a pump that the rules depend on."""

    drug_class: DrugClass
    flow_sensor: bool
    reservoir_sensor: bool
    capacity_ml: float
    interval_s: float
    bolus_daily_cap_ul: float = 0.0  # 0: no patient boluses
    implanted_ms: float = math.nan  # not known


@dataclass(frozen=True, slots=True)
class Rulebook:
    """A checked rulebook. `version` is the hash of its text, so equal rules have equal versions."""

    text: str
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    priorities: Mapping[str, tuple[Priority, ...]] = field(default_factory=dict)
    by_class: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def limit(self, section: str, name: str, drug_class: DrugClass = DrugClass.UNKNOWN) -> float:
        """The value in force, in the unit that core/limits.py names."""
        for source in (self.by_class.get(drug_class, {}), self.limits):
            if name in source.get(section, {}):
                return float(source[section][name])
        return LIMITS[section][name].default

    def limits_row(self, facts: PumpFacts) -> Items:
        """One row of LIMITS_ROW: what the rules compare with for one pump."""
        row = np.zeros(1, LIMITS_ROW)
        for section, limits in LIMITS.items():
            for name in limits:
                row[f"{section}_{name}"] = self.limit(section, name, facts.drug_class)
        row["flow_sensor"], row["reservoir_sensor"] = facts.flow_sensor, facts.reservoir_sensor
        row["capacity_ml"], row["interval_s"] = facts.capacity_ml, facts.interval_s
        row["bolus_daily_cap_ul"], row["implanted_ms"] = facts.bolus_daily_cap_ul, facts.implanted_ms
        return row

    def priority(self, condition: Condition, drug_class: DrugClass, step: int) -> Priority:
        """How urgent `step` (1 to 3) of a condition is where this drug is given."""
        of_class = self.by_class.get(drug_class, {}).get("priority", {})
        ladder = of_class.get(condition) or self.priorities.get(condition)
        if ladder is None:
            ladder = _PRIORITIES[condition]
            if drug_class in _UNGUARDED:
                ladder = _LESS_URGENT.get(condition, ladder)
        return Priority(ladder[min(step, len(ladder)) - 1])

    def latches(self, priority: Priority) -> bool:
        """Whether an alert of this priority waits for a person's reset after its condition has ended."""
        return priority is Priority.HIGH

    def silence_after_s(self, interval_s: float) -> float:
        intervals = self.limit(Condition.SILENCE, "after_intervals")
        return max(intervals * interval_s, self.limit(Condition.SILENCE, "at_least_s"))

    @property
    def delayed_announcement_s(self) -> float:
        return self.limit("announce", "hold_s")

    def do_now(self, condition: Condition) -> str:
        return _DO_NOW[condition]


DEFAULT_RULEBOOK: Final = Rulebook("")


def parse_rulebook(text: str) -> Rulebook | list[Problem]:
    """Return the rulebook that `text` describes, or everything that is wrong with it, in the order of the lines."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        at_end = text.count("\n") + 1
        return [Problem(int(found[1]) if found else at_end, str(error).partition(" (at ")[0])]
    lines = _lines(text)
    problems = sorted(
        Problem(lines.get(key, lines.get(key.rpartition(".")[0], 1)), message) for key, message in _check(tables)
    )
    if problems:
        return problems
    by_class = tables.pop("drug_class", {})
    for overrides in by_class.values():
        overrides["priority"] = _ladders(overrides.get("priority", {}))
    priorities = _ladders(tables.pop("priority", {}))
    return Rulebook(text, tables, priorities, by_class)


def _ladders(words: Mapping[str, Any]) -> dict[str, tuple[Priority, ...]]:
    return {
        condition: tuple(Priority(word) for word in ([given] if isinstance(given, str) else given))
        for condition, given in words.items()
    }


def _check(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, what is wrong with it)."""
    for section, table in tables.items():
        key = f"{prefix}{section}"
        if not isinstance(table, dict):
            yield key, f"{key}: expected a table of limits"
        elif section == "drug_class" and not prefix:
            for drug_class, overrides in table.items():
                if drug_class not in set(DrugClass):
                    yield (
                        f"{key}.{drug_class}",
                        f"{key}.{drug_class}: no such drug class; known are {', '.join(DrugClass)}",
                    )
                elif not isinstance(overrides, dict):
                    yield f"{key}.{drug_class}", f"{key}.{drug_class}: expected tables of limits"
                else:
                    yield from _check(overrides, f"{key}.{drug_class}.")
        elif section == "priority":
            yield from _check_priorities(table, key)
        elif section not in LIMITS:
            yield key, f"{key}: no such condition; known are {', '.join(LIMITS)}"
        else:
            yield from _check_limits(section, table, key)


def _check_limits(section: str, table: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        limit = LIMITS[section].get(name)
        where = f"{key}.{name}"
        if limit is None:
            yield where, f"{where}: no such limit; known are {', '.join(LIMITS[section])}"
        elif isinstance(value, bool) or not isinstance(value, int | float):
            yield where, f"{where}: expected a number ({limit.unit})"
        elif not limit.least <= value <= limit.most:  # also false for nan
            yield where, f"{where}: {value:g} is outside {limit.least:g} to {limit.most:g} {limit.unit}".rstrip()


def _check_priorities(table: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    for condition, given in table.items():
        where = f"{key}.{condition}"
        if condition not in set(Condition):
            yield where, f"{where}: no such condition; known are {', '.join(Condition)}"
            continue
        steps = len(_PRIORITIES[Condition(condition)])
        words = [given] if isinstance(given, str) else given
        if not isinstance(words, list) or len(words) != steps or not all(word in set(Priority) for word in words):
            wanted = "one of" if steps == 1 else f"a list of {steps}, each one of"
            yield where, f"{where}: expected {wanted} {', '.join(Priority)}"


def _lines(text: str) -> dict[str, int]:
    """The line of each dotted key and table header; tomllib keeps none."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]#]+?)\s*\]+", line)
        entry = re.match(r"\s*([A-Za-z0-9_.\-\"' ]+?)\s*=", line)
        if header:
            table = _bare(header[1])
            found.setdefault(table, number)
        elif entry:
            found.setdefault(f"{table}.{_bare(entry[1])}" if table else _bare(entry[1]), number)
    return found


def _bare(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
