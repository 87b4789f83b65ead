"""Which lines of a sound rulebook does nobody want? They are taken as they stand, and pointed at."""

from collections.abc import Collection, Iterator

from service.core.change import Standing
from service.core.contradiction import key_path
from service.core.explanation import default_of
from service.core.override import ENABLED, PRIORITY, Override, Scope, Whose, shown_time, shown_value
from service.core.reading import DrugClass
from service.core.rulebook import Problem, Rulebook, parse_rulebook
from service.core.toml_lines import KeyPath, key_lines, line_of


def check_rulebook(
    text: str, now_ms: int, sites: Collection[str] | None = None, pump_ids: Collection[str] | None = None
) -> list[Problem]:
    """Everything that is wrong with a rulebook file, or else everything that is odd, in the order of the lines.

    `sites` and `pump_ids` are those that the registry knows; None: not known.
    """
    found = parse_rulebook(text)
    if not isinstance(found, Rulebook):
        return found
    lines = key_lines(text)
    return sorted(
        Problem(line_of(lines, _in_file(path, lines)), f"{'.'.join(path)}: {what}", warning=True)
        for path, what in doubts(found, now_ms, sites, pump_ids)
    )


def doubts(
    rulebook: Rulebook, now_ms: int, sites: Collection[str] | None = None, pump_ids: Collection[str] | None = None
) -> Iterator[tuple[KeyPath, str]]:
    """Yield (key, what is odd): what has expired, says nothing new, concerns nobody, or has no effect."""
    known = {Scope.SITE: sites, Scope.PUMP: pump_ids}
    strangers = set()
    for override in rulebook.overrides:
        path = key_path(override)
        names = known.get(override.scope)
        if names is not None and override.name not in names and (override.scope, override.name) not in strangers:
            strangers.add((override.scope, override.name))
            yield path[:2], f"the registry knows no such {override.scope}"
        if not override.in_force(now_ms):
            yield path, f"expired at {shown_time(override.expires_ms or 0)}"
        elif (beneath := _beneath(rulebook.at(now_ms), override)) == override.value:
            yield path, f"is {shown_value(beneath)} without this, too"
        elif override.key != ENABLED and _is_off(rulebook.at(now_ms), override):
            yield path, "has no effect while the condition is switched off"


def _in_file(path: KeyPath, lines: Collection[KeyPath]) -> KeyPath:
    """A priority may stand in the table of priorities or in that of its condition."""
    if path in lines or PRIORITY not in path:
        return path
    return (*path[:-2], path[-1], path[-2])


def _beneath(rulebook: Rulebook, override: Override) -> object:
    """The value without the override, as far as its own layer can tell: a site has pumps of many drugs."""
    whose = Whose(DrugClass(override.name)) if override.scope is Scope.DRUG_CLASS else Whose()
    if override.scope in (Scope.SITE, Scope.PUMP) and any(
        other.scope in (Scope.DRUG_CLASS, Scope.SITE)
        and other.scope is not override.scope
        and (other.section, other.key) == (override.section, override.key)
        for other in rulebook.overrides
    ):
        return None
    without = Rulebook(tuple(other for other in rulebook.overrides if other.path != override.path))
    found = without.override(override.section, override.key, whose)
    return default_of(override.section, override.key, whose.drug_class) if found is None else found.value


def _is_off(rulebook: Rulebook, override: Override) -> bool:
    name = override.name
    whose = {
        Scope.ALL: Whose(),
        Scope.DRUG_CLASS: Whose(DrugClass(name)) if override.scope is Scope.DRUG_CLASS else Whose(),
        Scope.SITE: Whose(site=name),
        Scope.PUMP: Whose(pump_id=name),
    }[override.scope]
    return rulebook.standing(override.section, whose) is Standing.OFF  # type: ignore[arg-type]
