"""Which limits and priorities are in force for a pump? The defaults, then what stands in their place.

Nearer layers win: defaults, everybody, drug class, site, pump. What a file says is read and checked in
core/rulebook_check.py; overrides from the database are joined to it, and those that have expired are left out, before
anything is decided: nothing here knows what time it is.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from service.core.advice import DO_NOW
from service.core.change import NEVER_LATCHES, Condition, Priority, Standing
from service.core.limits import LIMITS, LIMITS_ROW
from service.core.override import ENABLED, PRIORITY, SHADOW, Override, Scope, Whose, canonical
from service.core.priorities import Ladder, default_ladder
from service.core.reading import DrugClass, Items
from service.core.rulebook_check import read
from service.core.toml_lines import key_lines, line_of


class Problem(NamedTuple):
    line: int
    message: str
    warning: bool = False


class PumpFacts(NamedTuple):
    """What the registry says of a pump that the rules depend on."""

    drug_class: DrugClass
    flow_sensor: bool
    reservoir_sensor: bool
    capacity_ml: float
    interval_s: float
    bolus_daily_cap_ul: float = 0.0  # 0: no patient boluses
    implanted_ms: float = math.nan  # not known
    site: str = ""
    mri_from_ms: float = math.nan  # an exam that people have told of; NaN: none
    mri_until_ms: float = math.nan


FACTS: Final = (
    *("flow_sensor", "reservoir_sensor", "capacity_ml", "interval_s", "bolus_daily_cap_ul", "implanted_ms"),
    *("mri_from_ms", "mri_until_ms"),
)
"""The facts that stand in a row of LIMITS_ROW, beside the limits."""

_DEFAULTS: Final = "".join(
    f"# by default {section}.{name} = {limit.default!r}\n"
    for section, limits in LIMITS.items()
    for name, limit in limits.items()
) + "".join(
    f"# by default priority.{condition}, {drug_class} = {' '.join(default_ladder(condition, drug_class))}\n"
    for condition in Condition
    for drug_class in DrugClass
)

_OVER: Final = "\n# Set by people over the file:\n"


@dataclass(frozen=True)
class Rulebook:
    """A checked rulebook: everything that stands in place of a default. Of two for the same, the later one wins."""

    overrides: tuple[Override, ...] = ()

    @cached_property
    def text(self) -> str:
        """All that is in force, the defaults as comments: `parse_kept` gives this rulebook again."""
        return f"{_DEFAULTS}{canonical(_last(self, of_file=True))}{_OVER}{canonical(_last(self, of_file=False))}"

    @cached_property
    def version(self) -> str:
        """Equal rules have equal versions, whatever their file looks like."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def at(self, now_ms: int) -> "Rulebook":
        """What of it is in force then: without what has expired."""
        kept = tuple(override for override in self.overrides if override.in_force(now_ms))
        return self if len(kept) == len(self.overrides) else Rulebook(kept)

    def joined(self, further: Iterable[Override]) -> "Rulebook":
        """With `further` overrides, which win over those of the same layer."""
        return Rulebook((*self.overrides, *further))

    def override(self, section: str, key: str, whose: Whose) -> Override | None:
        """What stands in place of the default of one value."""
        for layer in whose.names():
            found = self._by_layer.get(layer, {}).get((section, key))
            if found is not None:
                return found
        return None

    def limit(
        self,
        section: str,
        name: str,
        drug_class: DrugClass = DrugClass.UNKNOWN,
        *,
        site: str | None = None,
        pump_id: str = "",
    ) -> float:
        """The value in force, in the unit that core/limits.py names."""
        return self.limit_of(section, name, Whose(drug_class, site or "", pump_id))

    def limit_of(self, section: str, name: str, whose: Whose) -> float:
        found = self.override(section, name, whose)
        return LIMITS[section][name].default if found is None else float(found.value)  # type: ignore[arg-type]

    def in_layers(self, section: str, name: str) -> dict[str, dict[str, float]]:
        """The value of those for whom one is set, by layer and name; under `all`, named "", that of everybody else."""
        found: dict[str, dict[str, float]] = {str(scope): {} for scope in Scope}
        for (scope, whose), of in self._by_layer.items():
            if (section, name) in of:
                found[scope][whose] = float(of[section, name].value)  # type: ignore[arg-type]
        found[Scope.ALL].setdefault("", LIMITS[section][name].default)
        return found

    def least(self, section: str, name: str) -> float:
        """The least value in force for anybody."""
        layers = self._by_layer.items()
        values = [float(of[section, name].value) for _, of in layers if (section, name) in of]  # type: ignore[arg-type]
        return min([self.limit(section, name), *values])

    def limits_row(self, facts: PumpFacts, pump_id: str = "") -> Items:
        """One row of LIMITS_ROW: what the rules compare with for one pump."""
        row = np.zeros(1, LIMITS_ROW)
        for section, limits in LIMITS.items():
            for name in limits:
                row[f"{section}_{name}"] = self.limit(section, name, facts.drug_class, site=facts.site, pump_id=pump_id)
        for name in FACTS:
            row[name] = getattr(facts, name)
        return row

    def priority(
        self, condition: Condition, drug_class: DrugClass, step: int, *, site: str | None = None, pump_id: str = ""
    ) -> Priority:
        """How urgent `step` (1 to 3) of a condition is for this pump, where this drug is given."""
        ladder = self.ladder(condition, Whose(drug_class, site or "", pump_id))
        return ladder[min(step, len(ladder)) - 1]

    def ladder(self, condition: Condition, whose: Whose) -> Ladder:
        found = self.override(condition, PRIORITY, whose)
        return default_ladder(condition, whose.drug_class) if found is None else found.value  # type: ignore[return-value]

    def standing(self, condition: Condition, whose: Whose) -> Standing:
        """Whether what the rules find of a condition is told, kept in shadow, or switched off."""
        if (off := self.override(condition, ENABLED, whose)) is not None and off.value is False:
            return Standing.OFF
        shadow = self.override(condition, SHADOW, whose)
        return Standing.SHADOW if shadow is not None and shadow.value is True else Standing.TOLD

    def names(self, scope: Scope) -> frozenset[str]:
        """Whose names occur in a layer: only these can differ from the rest."""
        return self._names[scope]

    def kind(self, whose: Whose) -> Whose:
        """The same for all pumps of which this rulebook says the same."""
        return Whose(
            whose.drug_class,
            whose.site if whose.site in self.names(Scope.SITE) else "",
            whose.pump_id if whose.pump_id in self.names(Scope.PUMP) else "",
        )

    def latches(self, condition: Condition, priority: Priority) -> bool:
        """Whether its alert waits for a person's reset after the condition has ended."""
        return priority is Priority.HIGH and condition not in NEVER_LATCHES

    def silence_after_s(
        self,
        interval_s: float,
        drug_class: DrugClass = DrugClass.UNKNOWN,
        *,
        site: str | None = None,
        pump_id: str = "",
    ) -> float:
        intervals = self.limit(Condition.SILENCE, "after_intervals", drug_class, site=site, pump_id=pump_id)
        at_least_s = self.limit(Condition.SILENCE, "at_least_s", drug_class, site=site, pump_id=pump_id)
        return max(intervals * interval_s, at_least_s)

    @property
    def delayed_announcement_s(self) -> float:
        return self.limit("announce", "hold_s")

    def do_now(self, condition: Condition) -> str:
        return DO_NOW[condition]

    @cached_property
    def _names(self) -> Mapping[Scope, frozenset[str]]:
        return {scope: frozenset(name for of, name in self._by_layer if of is scope) for scope in Scope}

    @cached_property
    def _by_layer(self) -> Mapping[tuple[Scope, str], Mapping[tuple[str, str], Override]]:
        layers: dict[tuple[Scope, str], dict[tuple[str, str], Override]] = {}
        for override in self.overrides:
            layers.setdefault((override.scope, override.name), {})[override.section, override.key] = override
        return layers


DEFAULT_RULEBOOK: Final = Rulebook()


def parse_rulebook(text: str) -> Rulebook | list[Problem]:
    """Return the rulebook that `text` describes, or everything that is wrong with it, in the order of the lines.

    What has expired is still in it: `Rulebook.at` leaves it out.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        at_end = text.count("\n") + 1
        return [Problem(int(found[1]) if found else at_end, str(error).partition(" (at ")[0])]
    overrides, mistakes = read(tables)
    if not mistakes:
        return Rulebook(tuple(overrides))
    lines = key_lines(text)
    return sorted(Problem(line_of(lines, path), message) for path, message in mistakes)


def parse_kept(text: str) -> tuple[Rulebook, Rulebook]:
    """Read a `Rulebook.text` back: what stood in the file, and the whole. What no longer fits is left out."""
    parts = []
    for part in text.split(_OVER):
        try:
            parts.append(read(tomllib.loads(part))[0])
        except tomllib.TOMLDecodeError:  # older versions kept the file as it was, and that may be of any form
            parts.append([])
    of_file = Rulebook(tuple(parts[0]))
    return of_file, of_file.joined(override._replace(number=-1) for part in parts[1:] for override in part)


def _last(rulebook: Rulebook, *, of_file: bool) -> Iterable[Override]:
    """One override a value: the last of those from the file, or of those from the database."""
    return {override.path: override for override in rulebook.overrides if (override.number == 0) is of_file}.values()
