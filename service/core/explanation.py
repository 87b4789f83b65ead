"""Where does each value come from that is in force for a pump, and what differs between two rulebooks?"""

from collections.abc import Iterator
from typing import NamedTuple

from service.core.change import Condition
from service.core.limits import LIMITS
from service.core.override import ENABLED, PRIORITY, SHADOW, Override, Scope, Value, Whose
from service.core.priorities import default_ladder
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook


class Explained(NamedTuple):
    """One value in force, and what put it there; None: the default."""

    section: str
    key: str
    value: Value
    unit: str
    default: Value
    override: Override | None

    @property
    def source(self) -> str:
        if self.override is None:
            return "default"
        own = self.override
        where = "set over it" if own.number else "file"
        return f"{where}: {own.scope}" + (f" {own.name}" if own.name else "")


class Difference(NamedTuple):
    """One value that two rulebooks do not agree on; None: that one says nothing of it for this layer."""

    path: str
    unit: str
    before: Value | None
    after: Value | None


def explained(rulebook: Rulebook, whose: Whose) -> Iterator[Explained]:
    """Yield every limit, priority and switch in force for such a pump, condition by condition."""
    for section in dict.fromkeys([*LIMITS, *Condition]):
        for key in keys_of(section):
            found = rulebook.override(section, key, whose)
            default = default_of(section, key, whose.drug_class)
            yield Explained(
                section, key, default if found is None else found.value, unit_of(section, key), default, found
            )


def differences(before: Rulebook, after: Rulebook) -> Iterator[Difference]:
    """Yield what a change from one to the other changes, limit by limit."""
    sides = [{override.path: override for override in rulebook.overrides} for rulebook in (before, after)]
    for path in sorted(sides[0].keys() | sides[1].keys()):
        found = [side.get(path) for side in sides]
        one = found[0] or found[1]
        if one is None:
            continue
        usual = default_of(one.section, one.key, DrugClass.UNKNOWN) if one.scope is Scope.ALL else None
        values = [usual if own is None else own.value for own in found]
        if values[0] != values[1]:
            yield Difference(path, unit_of(one.section, one.key), values[0], values[1])


def keys_of(section: str) -> list[str]:
    beside = [PRIORITY, ENABLED, SHADOW] if section in set(Condition) else []
    return [*LIMITS.get(section, {}), *beside]


def unit_of(section: str, key: str) -> str:
    limit = LIMITS.get(section, {}).get(key)
    return "" if limit is None else limit.unit


def default_of(section: str, key: str, drug_class: DrugClass) -> Value:
    if key == PRIORITY:
        return default_ladder(Condition(section), drug_class)
    if key in (ENABLED, SHADOW):
        return key == ENABLED
    return LIMITS[section][key].default
