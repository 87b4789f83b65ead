"""Do the limits of a rulebook fit together? Where two cannot both be meant, for anybody, that is a mistake."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from service.core.change import Condition
from service.core.limits import LIMITS
from service.core.override import Override, Scope
from service.core.toml_lines import KeyPath


class Pair(NamedTuple):
    """Of one condition, `lesser` may be at most `greater`, or what `otherwise` says follows."""

    section: str
    lesser: str
    greater: str
    otherwise: str


_CHATTER: Final = "it would end while it begins"
_ORDER: Final = "the earlier step would never be seen"
PAIRS: Final = (
    Pair(Condition.STALL, "below_fraction", "clear_above_fraction", _CHATTER),
    Pair(Condition.STALL_FLUTTER, "stop_for_s", "sensor_stop_for_s", "a sensor's noise would count as stops"),
    Pair(Condition.RESERVOIR_EMPTY, "volume_ml", "clear_ml", _CHATTER),
    Pair(Condition.BATTERY_LOW, "high_d", "medium_d", _ORDER),
    Pair(Condition.BATTERY_LOW, "medium_d", "service_d", _ORDER),
    Pair(Condition.STOPPED_LONG, "after_s", "longer_after_s", _ORDER),
    Pair(Condition.RESERVOIR_LOW, "medium_d", "low_d", _ORDER),
    Pair(Condition.RESERVOIR_LOW, "high_d", "medium_d", _ORDER),
    Pair(Condition.RESERVOIR_LOW, "medium_cycle_fraction", "low_cycle_fraction", _ORDER),
    Pair(Condition.SILENCE, "medium_after_s", "high_after_s", _ORDER),
    Pair(Condition.SILENCE, "at_least_s", "medium_after_s", _ORDER),
    Pair(Condition.OVER_DELIVERY, "cap", "decision", "one wild hour would decide alone"),
    Pair(Condition.UNDER_DELIVERY, "cap", "decision", "one wild hour would decide alone"),
)

_Values = dict[tuple[Scope, str], dict[tuple[str, str], Override]]


def contradictions(overrides: Sequence[Override]) -> list[tuple[KeyPath, str]]:
    """Every pair of limits that contradict each other for some pump, at the override that brings it about."""
    values: _Values = {}
    for override in overrides:
        values.setdefault((override.scope, override.name), {})[override.section, override.key] = override
    found: dict[KeyPath, str] = {}
    for override in overrides:
        for pair in PAIRS:
            if override.section == pair.section and override.key in (pair.lesser, pair.greater):
                for chain in _chains(override, values):
                    _judge(pair, override, chain, values, found)
    return list(found.items())


def key_path(override: Override) -> KeyPath:
    """Where the override stands in a file."""
    return tuple(override.path.split("."))


def _chains(override: Override, values: _Values) -> Iterator[list[tuple[Scope, str]]]:
    """The layers, nearest first, of every kind of pump that the override can meet others in."""
    named = {scope: [name for of, name in values if of is scope] for scope in Scope}
    own = (override.scope, override.name)
    beneath: list[list[tuple[Scope, str]]] = [[]]
    if override.scope is Scope.PUMP:
        beneath += [[(Scope.SITE, site)] for site in named[Scope.SITE]]
    if override.scope in (Scope.PUMP, Scope.SITE):
        beneath += [[*chain, (Scope.DRUG_CLASS, name)] for chain in list(beneath) for name in named[Scope.DRUG_CLASS]]
    for chain in beneath:
        yield [own, *chain, (Scope.ALL, "")] if override.scope is not Scope.ALL else [own]


def _judge(
    pair: Pair,
    override: Override,
    chain: Sequence[tuple[Scope, str]],
    values: _Values,
    found: dict[KeyPath, str],
) -> None:
    lesser, greater = (_resolved(pair.section, name, chain, values) for name in (pair.lesser, pair.greater))
    if lesser <= greater:
        return
    path = ".".join(key_path(override))
    whom = " ".join(name for _, name in chain[1:] if name)
    found.setdefault(
        key_path(override),
        f"{path}: {pair.lesser} {lesser:g} is above {pair.greater} {greater:g}{f' (with {whom})' if whom else ''}: "
        f"{pair.otherwise}",
    )


def _resolved(section: str, name: str, chain: Sequence[tuple[Scope, str]], values: _Values) -> float:
    for layer in chain:
        override = values.get(layer, {}).get((section, name))
        if override is not None:
            return float(override.value)  # type: ignore[arg-type]
    return LIMITS[section][name].default
