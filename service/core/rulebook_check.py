"""What does a rulebook file say, and what is wrong with it? Every value is read by itself, every mistake is named."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

from service.core.change import Condition, Priority
from service.core.contradiction import contradictions
from service.core.limits import LIMITS
from service.core.override import ENABLED, FLOOR, PRIORITY, SHADOW, Override, Scope, Value
from service.core.priorities import PRIORITIES, default_ladder
from service.core.reading import DrugClass
from service.core.strictness import loosens
from service.core.toml_lines import KeyPath

Mistake = tuple[KeyPath, str]

LONGEST_TEXT: Final = 500
_PROVENANCE: Final = ("reason", "author", "expires")
_LAYERS: Final = {str(scope): scope for scope in Scope if scope is not Scope.ALL}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOP_RANK_ON_THE_FLOOR: Final = Priority.MEDIUM.rank


class MistakenError(Exception):
    """A value cannot be taken; the text says why."""


class _Provenance(NamedTuple):
    reason: str = ""
    author: str = ""
    expires_ms: int | None = None


class _Place(NamedTuple):
    """Where in the document: the layer, whose it is, and the keys that led there."""

    scope: Scope
    name: str
    path: KeyPath


def read(tables: Mapping[str, Any]) -> tuple[list[Override], list[Mistake]]:
    """Return what the document overrides, and everything that is wrong with it; only one of them is of use."""
    reading = _Reading()
    for section, table in tables.items():
        if section in _LAYERS:
            reading.layer(_LAYERS[section], table)
        else:
            reading.section(_Place(Scope.ALL, "", (section,)), section, table)
    if not reading.mistakes:
        reading.mistakes += contradictions(reading.overrides)
    return reading.overrides, reading.mistakes


class _Reading:
    def __init__(self) -> None:
        self.overrides: list[Override] = []
        self.mistakes: list[Mistake] = []

    def layer(self, scope: Scope, names: object) -> None:
        if not isinstance(names, dict):
            self._wrong((scope,), "expected tables of limits")
            return
        for name, sections in names.items():
            path = (str(scope), name)
            if scope is Scope.DRUG_CLASS and name not in set(DrugClass):
                self._wrong(path, f"no such drug class; known are {', '.join(DrugClass)}")
            elif not _NAME.fullmatch(name):
                self._wrong(path, "expected 1 to 64 of A-Z a-z 0-9 _ -")
            elif not isinstance(sections, dict):
                self._wrong(path, "expected tables of limits")
            else:
                for section, table in sections.items():
                    self.section(_Place(scope, name, (*path, section)), section, table)

    def section(self, place: _Place, section: str, table: object) -> None:
        if section == PRIORITY and place.scope is not Scope.ALL and not isinstance(table, dict):
            self._wrong(place.path, "expected a table of priorities")
        elif not isinstance(table, dict):
            self._wrong(place.path, "expected a table of limits")
        elif section == PRIORITY:
            self._values(place, table)
        elif section not in LIMITS and section not in set(Condition):
            self._wrong(place.path, f"no such condition; known are {', '.join(dict.fromkeys([*Condition, *LIMITS]))}")
        elif section not in set(Condition) and place.scope is not Scope.ALL:
            self._wrong(place.path, "holds for all pumps at once: it cannot be overridden")
        elif section == Condition.SITE_SILENCE and place.scope in (Scope.DRUG_CLASS, Scope.PUMP):
            self._wrong(place.path, "is judged for a site: it can be overridden for a site, or for everybody")
        else:
            self._values(place, table)

    def _values(self, place: _Place, table: Mapping[str, Any]) -> None:
        shared = self._provenance(place.path, table, _Provenance())
        for key, given in table.items():
            path = (*place.path, key)
            if key in _PROVENANCE:
                continue
            own, value = shared, given
            if isinstance(given, dict):
                if unknown := [name for name in given if name not in ("value", *_PROVENANCE)]:
                    self._wrong((*path, unknown[0]), "expected value, reason, author, expires")
                    continue
                if "value" not in given:
                    self._wrong(path, "expected a value")
                    continue
                own, value = self._provenance(path, given, shared), given["value"]
            section = place.path[-1]
            section, key_of = (key, PRIORITY) if section == PRIORITY else (section, key)
            try:
                override = Override(place.scope, place.name, section, key_of, _value(section, key_of, value), *own)
                _answered_for(override)
            except MistakenError as error:
                self._wrong(path, str(error))
            else:
                self.overrides.append(override)

    def _provenance(self, path: KeyPath, table: Mapping[str, Any], shared: _Provenance) -> _Provenance:
        for name in ("reason", "author"):
            if name not in table:
                continue
            text = table[name]
            if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
                self._wrong((*path, name), f"expected a text of 1 to {LONGEST_TEXT} characters")
            elif not text.isprintable():
                self._wrong((*path, name), "expected printable characters only")
            else:
                shared = _Provenance(**{**shared._asdict(), name: text.strip()})
        if "expires" in table:
            try:
                shared = shared._replace(expires_ms=_expiry_ms(table["expires"]))
            except MistakenError as error:
                self._wrong((*path, "expires"), str(error))
        return shared

    def _wrong(self, path: KeyPath, what: str) -> None:
        self.mistakes.append((path, f"{'.'.join(path)}: {what}"))


def _value(section: str, key: str, given: object) -> Value:
    if key == PRIORITY:
        return _ladder(section, given)
    if key in (ENABLED, SHADOW) and section in set(Condition):
        return _switch(section, key, given)
    limit = LIMITS.get(section, {}).get(key)
    if limit is None:
        known = [*LIMITS.get(section, {}), *((ENABLED, SHADOW) if section in set(Condition) else ())]
        raise MistakenError(f"no such limit; known are {', '.join(known)}")
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise MistakenError(f"expected a number ({limit.unit})" if limit.unit else "expected a number")
    if not limit.least <= given <= limit.most:  # also false for nan
        raise MistakenError(f"{given:g} is outside {limit.least:g} to {limit.most:g} {limit.unit}".rstrip())
    return float(given)


def _switch(section: str, key: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise MistakenError("expected true or false")
    if section in FLOOR and given is (key == SHADOW):
        what = "put in shadow" if key == SHADOW else "switched off"
        raise MistakenError(f"this condition cannot be {what}, only tuned")
    return given


def _ladder(condition: str, given: object) -> tuple[Priority, ...]:
    if condition not in set(Condition):
        raise MistakenError(f"no such condition; known are {', '.join(Condition)}")
    steps = len(PRIORITIES[Condition(condition)])
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list) or len(words) != steps or not all(word in set(Priority) for word in words):
        wanted = "one of" if steps == 1 else f"a list of {steps}, each one of"
        raise MistakenError(f"expected {wanted} {', '.join(Priority)}")
    ladder = tuple(Priority(word) for word in words)
    if any(later.rank < earlier.rank for earlier, later in pairwise(ladder)):
        raise MistakenError("a later step cannot be less urgent than an earlier one")
    if condition in FLOOR and ladder[-1].rank < _TOP_RANK_ON_THE_FLOOR:
        raise MistakenError("the last step of this condition must be medium or high")
    return ladder


def _expiry_ms(given: object) -> int:
    """A date expires when it is over (UTC); a time without an offset is UTC."""
    if isinstance(given, datetime):
        moment = given if given.tzinfo else given.replace(tzinfo=UTC)
    elif isinstance(given, date):
        moment = datetime(given.year, given.month, given.day, tzinfo=UTC) + timedelta(days=1)
    else:
        raise MistakenError("expected a date or a time, such as 2026-12-31 or 2026-12-31T08:00:00Z, without quotes")
    return int(moment.timestamp() * 1000)


def _answered_for(override: Override) -> None:
    """Raise MistakenError unless somebody stands for it as its layer asks."""
    needed: tuple[str, ...]
    if override.scope in (Scope.SITE, Scope.PUMP):
        needed, why = _PROVENANCE, f"an override for a {override.scope}"
    elif override.key in (ENABLED, SHADOW) and override.value is (override.key == SHADOW):
        needed, why = ("reason", "author")[: 1 if override.scope is Scope.ALL else 2], "what is no longer announced"
    elif override.scope is Scope.DRUG_CLASS and _looser(override):
        needed, why = ("reason", "author"), "an override that watches a drug class less closely"
    else:
        return
    given = {"reason": override.reason, "author": override.author, "expires": override.expires_ms or ""}
    if missing := [name for name in needed if not given[name]]:
        raise MistakenError(f"{why} needs {_and(needed)}; missing: {_and(missing)}")


def _looser(override: Override) -> bool:
    if isinstance(override.value, tuple):
        usual = default_ladder(Condition(override.section), DrugClass(override.name))
        return any(word.rank < before.rank for word, before in zip(override.value, usual, strict=True))
    if isinstance(override.value, bool):
        return False
    return loosens(override.key, override.value, LIMITS[override.section][override.key].default)


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def read_one(
    scope: str, name: str, key: str, said: Mapping[str, Any], over: Sequence[Override]
) -> Override | list[str]:
    """Read one override, of `section.key`, as a file would say it; or else everything that is wrong with it.

    `said` has value, reason, author and perhaps expires. `over`: those that it joins, and must not contradict.
    """
    section, _, inner = key.partition(".")
    if scope not in _LAYERS:
        return [f"{scope}: expected {', '.join(_LAYERS)}"]
    if not inner:
        return [f"{key}: expected a condition and one of its limits, such as stall.missed_ul"]
    overrides, mistakes = read({scope: {name: {section: {inner: dict(said)}}}})
    if mistakes:
        return [what for _, what in mistakes]
    (override,) = overrides
    others = [other for other in over if other.path != override.path]
    known = {path for path, _ in contradictions(others)}
    if clashes := [what for path, what in contradictions([*others, override]) if path not in known]:
        return clashes
    return override
