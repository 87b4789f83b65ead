"""What happens to a pump, told so that a clinician can read it? Scenarios: a timeline, and the alerts it must bring.

docs/simulators.md says how to write one. A file with mistakes is refused with all of them, each with its line.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from simulators.expected import CONDITIONS
from simulators.faults import DAY_MS, TRAITS, Fault, Kind, Timeline, fault_named
from simulators.fleet import DRUGS, SITES, Implant, fleet_of
from simulators.generate import Generated, generated
from simulators.patients import Boluses
from simulators.plan import BOOTS_SINCE_MS
from simulators.programs import Program
from simulators.toml_lines import Path as KeyPath
from simulators.toml_lines import line_of, lines_of_keys
from simulators.units import duration_ms, quantity, value_of

SEED: Final = 7
PRIORITIES: Final = ("low", "medium", "high")
BOLUS_S: Final = 600.0
LOCKOUT_S: Final = 3600.0
Value = TypeVar("Value")


class Problem(NamedTuple):
    line: int
    message: str


class ScenarioError(Exception):
    """A scenario that cannot be read; its text has every mistake as `file:line: what`."""

    @classmethod
    def of_file(cls, name: str, problems: Iterable[Problem]) -> Self:
        return cls("\n".join(f"{name}:{problem.line}: {problem.message}" for problem in sorted(problems)))

    @classmethod
    def of_several(cls, errors: Iterable[Self]) -> Self:
        return cls("\n".join(map(str, errors)))


class Expect(NamedTuple):
    """An alert that must come, `within_ms` after `after_ms`; None of a priority: any."""

    condition: str
    priority: str | None
    after_ms: int
    within_ms: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """Times count from the start of the scenario; pump 1 is the one to which things happen."""

    name: str
    title: str
    description: str
    fleet: list[Implant]
    faults: list[Fault]
    timeline: Timeline
    expect: list[Expect]
    may: frozenset[str]
    never: frozenset[str]

    @property
    def allowed(self) -> frozenset[str]:
        """The conditions that are no surprise; any other alert is a false one."""
        return self.may | {expected.condition for expected in self.expect}


def packaged() -> list[str]:
    """The names of the scenarios that come with the simulators."""
    files = resources.files("simulators").joinpath("scenarios").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def text_of(name: str) -> str:
    """The text of a scenario by its name, or of a file; raises OSError."""
    if name in packaged():
        return resources.files("simulators").joinpath("scenarios", f"{name}.toml").read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")


def scenario_named(name: str, start_ms: int = BOOTS_SINCE_MS) -> Scenario:
    """Read a packaged scenario or a file; raises OSError, and ScenarioError with every mistake in it."""
    return scenario_of(text_of(name), name, start_ms)


def scenario_of(text: str, name: str, start_ms: int = BOOTS_SINCE_MS) -> Scenario:
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).partition(" (at ")
        line = "".join(filter(str.isdigit, place.partition(",")[0]))
        raise ScenarioError.of_file(name, [Problem(int(line) if line else len(text.splitlines()), what)]) from None
    reading = _Reading(told, text)
    scenario = reading.scenario(Path(name).stem, start_ms)
    if reading.problems or scenario is None:
        raise ScenarioError.of_file(name, reading.problems)
    return scenario


def stream_of(scenario: Scenario, readings_a_message: int) -> Generated:
    """What the pumps of a scenario send. Nobody visits them but as it is told."""
    told = scenario.fleet, scenario.faults, scenario.timeline
    return generated(SEED, *told, readings_a_message, visits=False, in_step=True)


class _Reading:
    """Reads one file and goes on after a mistake, to find the next."""

    def __init__(self, told: Mapping[str, Any], text: str) -> None:
        self._told = told
        self._lines = lines_of_keys(text)
        self.problems: list[Problem] = []

    def scenario(self, name: str, start_ms: int) -> Scenario | None:
        self._only((), self._told, {"title", "description", "lasts", "pump", "timeline", "expect", "may", "never"})
        title = self._get((), self._told, "title", _text, "")
        description = self._get((), self._told, "description", _text, "")
        lasts_ms = self._get((), self._told, "lasts", duration_ms, DAY_MS)
        pump, every_ms = self._pump(name)
        timeline = Timeline(start_ms, every_ms, max(lasts_ms // every_ms, 1), every_ms)
        acts = list(self._timeline(pump[0], start_ms, lasts_ms))
        first_ms = min((act.onset_ms - start_ms for act in acts), default=0)
        expect = list(self._expect(first_ms))
        may, never = (self._conditions(key) for key in ("may", "never"))
        for condition in sorted(never & (may | {each.condition for each in expect})):
            self._problem(("never",), f"{condition} is expected or allowed, and must never be")
        if self.problems:
            return None
        return Scenario(name, title, description, pump, acts, timeline, expect, may, never)

    def _pump(self, name: str) -> tuple[list[Implant], int]:
        table = self._told.get("pump", {})
        if not isinstance(table, dict):
            self._problem(("pump",), "pump is a table: [pump]")
            table = {}
        known = {"model", "drug", "program", "reservoir", "filled", "report_every"}
        self._only(("pump",), table, known | {"bias", "bolus_cap", "count", "tells_stalls", "site"})

        def get(key: str, read: Callable[[object], Value], otherwise: Value) -> Value:
            return self._get(("pump",), table, key, read, otherwise, optional=True)

        program_ml_d = get("program", _in("mL/d", 0.05, 24.0), 0.5)
        capacity_ml = get("reservoir", _in("mL", 1.0, 40.0), 20.0)
        drug = next(
            drug for drug in DRUGS if drug.name == get("drug", _one_of(drug.name for drug in DRUGS), "baclofen")
        )
        cap_ul = get("bolus_cap", _in("uL", 0.0, 10_000.0), 0.0)
        every_ms = get("report_every", duration_ms, 60_000)
        dose_ul = cap_ul / 8
        _, time_zone = SITES[0]
        pump = replace(
            fleet_of(SEED, 1)[0],
            site=get("site", _text, name),
            time_zone=time_zone,
            sensor=get("model", _one_of(("rotor", "sensor")), "rotor") == "sensor",
            capacity_ml=capacity_ml,
            drug=drug.name,
            drug_class=drug.drug_class,
            concentration_ug_ml=drug.concentrations_ug_ml[0],
            interval_s=every_ms / 1000,
            program_ml_d=program_ml_d,
            filled_ml=get("filled", _in("mL", 0.0, capacity_ml), round(0.8 * capacity_ml, 3)),
            bias=get("bias", _in("%", -0.145, 0.145), 0.01),
            battery_used=0.2,
            implanted_d=500.0,
            clock_ppm=0.0,
            tells_stalls=get("tells_stalls", _truth, otherwise=False),
            basal=Program(program_ml_d),
            boluses=Boluses(dose_ul, BOLUS_S, LOCKOUT_S, cap_ul, wishes_a_day=0.0),
        )
        count = get("count", _count, 1)
        return [replace(pump, number=1 + at, pump_id=f"{name}-{1 + at}") for at in range(count)], every_ms

    def _timeline(self, implant: Implant, start_ms: int, lasts_ms: int) -> Iterator[Fault]:
        for path, entry in self._entries("timeline"):
            self._only(path, entry, {"at", "what", "for", "value"})
            at_ms = self._get(path, entry, "at", duration_ms, 0)
            if not 0 <= at_ms <= lasts_ms:
                self._problem((*path, "at"), f"{entry['at']} is not within the scenario")
            kind = self._get(path, entry, "what", _one_of(Kind), None)
            if kind is None:
                continue
            onset_ms, trait = start_ms + at_ms, TRAITS[Kind(kind)]
            for_ms = self._get(path, entry, "for", duration_ms, None, optional=True)
            value = self._get(
                path, entry, "value", partial(value_of, trait=trait, onset_ms=onset_ms), None, optional=True
            )
            try:
                yield fault_named(kind, 0, onset_ms, for_ms, value, implant)
            except ValueError as error:
                self._problem(path, str(error))

    def _expect(self, first_ms: int) -> Iterator[Expect]:
        for path, entry in self._entries("expect"):
            self._only(path, entry, {"condition", "priority", "within", "after"})
            yield Expect(
                self._get(path, entry, "condition", _one_of(CONDITIONS), ""),
                self._get(path, entry, "priority", _one_of(PRIORITIES), None, optional=True),
                self._get(path, entry, "after", duration_ms, first_ms, optional=True),
                self._get(path, entry, "within", duration_ms, 0),
            )

    def _conditions(self, key: str) -> frozenset[str]:
        listed = self._told.get(key, [])
        if not isinstance(listed, list):
            self._problem((key,), f"{key} is a list of conditions")
            return frozenset()
        for condition in listed:
            if condition not in CONDITIONS:
                self._problem((key,), f"{condition!r} is no condition; known are {', '.join(CONDITIONS)}")
        return frozenset(str(condition) for condition in listed)

    def _entries(self, name: str) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
        entries = self._told.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._problem((name,), f"write [[{name}]], once for each")
            return
        for number, entry in enumerate(entries):
            yield (name, number), entry

    def _get(
        self,
        path: KeyPath,
        table: Mapping[str, Any],
        key: str,
        read: Callable[[object], Value],
        otherwise: Value,
        *,
        optional: bool = False,
    ) -> Value:
        if key not in table:
            if not optional:
                self._problem(path, f"{key} is missing")
            return otherwise
        try:
            return read(table[key])
        except ValueError as error:
            self._problem((*path, key), f"{key}: {error}")
            return otherwise

    def _only(self, path: KeyPath, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self._problem((*path, key), f"unknown key {key}; known are {', '.join(sorted(known))}")

    def _problem(self, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(line_of(self._lines, path), message))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is a text")
    return value.strip()


def _truth(value: object) -> bool:
    if value not in (True, False):
        raise ValueError("is true or false")
    return bool(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
        raise ValueError("is a number from 1 to 100")
    return value


def _one_of(known: Any) -> Callable[[object], str]:
    words = [str(word) for word in known]

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is not known; known are {', '.join(words)}")
        return str(value)

    return read


def _in(unit: str, low: float, high: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        number = quantity(value, unit)
        if not low <= number <= high:
            scale = 100 if unit == "%" else 1
            raise ValueError(f"{value} is not from {low * scale:g} to {high * scale:g} {unit}")
        return number

    return read
