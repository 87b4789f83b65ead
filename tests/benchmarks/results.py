"""What was measured, beside what, and how much is asked for? The table, and the JSON file."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

CAPTION = "ratio: of the C subscriber on the same broker; of the scripts: of ours on NATS; of growth: most to least"

MESSAGES, READINGS, MICROSECONDS, MILLISECONDS, SECONDS = "messages/s", "readings/s", "µs", "ms", "s"
MEGABYTES, COUNT, SHARE, REQUESTS = "MB", "", "of 1", "requests/s"


@dataclass(frozen=True, slots=True)
class Named:
    """One figure that is reported. A budget is the least ratio, value, or the most of a cost."""

    title: str
    unit: str
    of: str = ""
    least_ratio: float = 0.0
    least: float = 0.0
    most: float = math.inf

    @property
    def budget(self) -> str:
        if self.least_ratio:
            return f"≥ {self.least_ratio}"
        if self.least:
            return f"≥ {short(self.least)}"
        return f"≤ {short(self.most)}" if self.most < math.inf else ""

    def kept(self, value: float, ratio: float | None) -> bool:
        if self.least_ratio:
            return ratio is not None and ratio >= self.least_ratio
        return self.least <= value <= self.most


CATALOGUE = {
    "ingest.nats.single": Named("NATS, one reading a message", MESSAGES, "baseline.nats_sub", least_ratio=0.85),
    "baseline.nats_sub": Named("NATS, mosquitto_sub that discards", MESSAGES),
    "ingest.mosquitto.single": Named(
        "Mosquitto, one reading a message", MESSAGES, "baseline.mosquitto_sub", least_ratio=0.9
    ),
    "baseline.mosquitto_sub": Named("Mosquitto, mosquitto_sub that discards", MESSAGES),
    "ingest.nats.sixty": Named("NATS, 60 readings a message", READINGS, least=200_000),
    "baseline.aiomqtt_row": Named("aiomqtt, an INSERT a message", MESSAGES, "ingest.nats.single"),
    "baseline.aiomqtt_batch": Named("aiomqtt, executemany of 500", MESSAGES, "ingest.nats.single"),
    "cpu.message_us": Named("processor time of the ingester a message", MICROSECONDS, most=35),
    "alert.latency_p99_ms": Named("reading sent to webhook begun, p99 at half load", MILLISECONDS, most=250),
    "api.p99_ms": Named(
        "50 pages and charts of the API a second, p99 at half load, 10,000 pumps", MILLISECONDS, most=50
    ),
    "api.p99_at_100_ms": Named("100 of them a second, p99", MILLISECONDS),
    "api.requests_a_core_s": Named("requests that one core answers", REQUESTS, least=200),
    "stream.p99_ms": Named("a change is with each of 500 who follow the stream, p99", MILLISECONDS, most=500),
    "board.fleet_s": Named("the fleet's page can be used, 10,000 pumps", SECONDS, most=1.5),
    "board.value_s": Named("a new value is on the fleet's page", SECONDS, most=1.0),
    "board.alert_p99_ms": Named("reading sent to alert in the browser, p99", MILLISECONDS, most=500),
    "cluster.ingesters_1": Named("three NATS nodes, one ingester", MESSAGES),
    "cluster.ingesters_2": Named("three NATS nodes, two ingesters", MESSAGES, "cluster.ingesters_1"),
    "cluster.ingesters_3": Named("three NATS nodes, three ingesters", MESSAGES, "cluster.ingesters_1"),
    "cluster.message_us_1": Named("processor time a message, one ingester", MICROSECONDS),
    "cluster.message_us_2": Named("processor time a message, two ingesters", MICROSECONDS, "cluster.message_us_1"),
    "cluster.message_us_3": Named("processor time a message, three ingesters", MICROSECONDS, "cluster.message_us_1"),
    "cluster.message_bytes": Named("a message in the stream of NATS", "bytes"),
    "cluster.node_us": Named("processor time of each NATS node a message, in and out", MICROSECONDS),
    "growth.pumps": Named("100,000 pumps beside 100", SHARE, least=0.75),
    "growth.history": Named("the longest history beside the shortest", SHARE, least=0.75),
    "backlog.mosquitto": Named("a backlog worked off, ingester's start included", MESSAGES),
    "backlog.repeated": Named("messages of it that came twice", COUNT, most=0),
    "restart.pumps_10000_s": Named("restart with 10,000 pumps", SECONDS, most=10),
    "memory.pumps_100000_mb": Named("state of the rules of 100,000 pumps", MEGABYTES, most=200),
    "rules.round_1000_us": Named("rules a reading, 1,000 pumps a round", MICROSECONDS, most=0.8),
    "rules.round_100_us": Named("rules a reading, 100 pumps a round", MICROSECONDS, most=4),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """How something grows: lines over a few places, each a number or a word."""

    title: str
    over: str
    unit: str


CURVES = {
    "pumps": Curve("By the number of pumps, through Mosquitto", "pumps", MESSAGES),
    "history": Curve("By what is stored already, through Mosquitto", "readings in 30 days", MESSAGES),
    "pumps_us": Curve("Processor time a message, by the number of pumps", "pumps", MICROSECONDS),
    "readings": Curve("By readings a message and payload, through Mosquitto", "readings a message", READINGS),
    "readings_us": Curve("Processor time of the ingester a reading, by payload", "readings a message", MICROSECONDS),
}


@dataclass
class Results:
    """A list of values for each name, one a round; or why there is none.

    The value is the median of the rounds, and a ratio the median of the rounds' ratios: machines drift, and both were
    measured within the same minute.
    """

    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    skipped: dict[str, str] = field(default_factory=dict)
    curves: defaultdict[str, dict[str, dict[int, float]]] = field(default_factory=lambda: defaultdict(dict))
    machine: dict[str, Any] = field(default_factory=dict)

    def draw(self, curve: str, line: str, at: int, value: float) -> None:
        self.curves[curve].setdefault(line, {})[at] = value

    def value(self, name: str) -> float | None:
        return statistics.median(self.values[name]) if self.values.get(name) else None

    def ratio(self, name: str) -> float | None:
        ours, others = self.values.get(name), self.values.get(CATALOGUE[name].of)
        if not ours or not others:
            return None
        if len(ours) != len(others):
            return statistics.median(ours) / statistics.median(others)
        return statistics.median(our / other for our, other in zip(ours, others, strict=True))

    def names(self) -> Iterator[str]:
        return (name for name in CATALOGUE if name in self.values or name in self.skipped)

    def as_json(self) -> dict[str, Any]:
        """`machine`; `figures`: {name: {value, unit, ratio, of, budget, rounds}}, with `skipped` where nothing was
        measured; `curves`: {name: {line: {place: value}}}.
        """
        figures: dict[str, dict[str, Any]] = {}
        for name in self.names():
            value, ratio, named = self.value(name), self.ratio(name), CATALOGUE[name]
            figures[name] = {
                "value": None if value is None else rounded(value),
                "unit": named.unit,
                "ratio": ratio if ratio is None else round(ratio, 4),
                "of": named.of or None,
                "budget": named.budget or None,
                "rounds": [rounded(each) for each in self.values.get(name, [])],
            }
            if name in self.skipped:
                figures[name]["skipped"] = self.skipped[name]
        curves = {
            name: {
                line: {str(at): rounded(value) for at, value in sorted(found.items())} for line, found in lines.items()
            }
            for name, lines in self.curves.items()
        }
        return {"machine": self.machine, "figures": figures, "curves": curves}

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def table(self) -> Table:
        table = Table("what", "value", "unit", "rounds", "ratio", "budget", caption=CAPTION, box=SIMPLE, pad_edge=False)
        for column in table.columns:
            column.no_wrap = True
        for number in (1, 3, 4):
            table.columns[number].justify = "right"
        for name in self.names():
            named, value, ratio = CATALOGUE[name], self.value(name), self.ratio(name)
            if value is None:
                table.add_row(name, "skipped")
                continue
            shown = "" if ratio is None else f"{ratio:.2f}"
            row = name, short(value), named.unit, spread(self.values[name]), shown, _judged(named, value, ratio)
            table.add_row(*row)
        return table


def _points(found: dict[int, float]) -> dict[str, float]:
    return {str(at): rounded(value) for at, value in sorted(found.items())}


def rounded(value: float) -> float:
    return float(f"{value:.5g}")


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(rounds: list[float]) -> str:
    """How far the rounds lie apart, as half their range."""
    if len(rounds) < 2 or not statistics.median(rounds):
        return ""
    return f"±{(max(rounds) - min(rounds)) / 2 / statistics.median(rounds):.0%}"


def _judged(named: Named, value: float, ratio: float | None) -> str:
    """The budget, and whether it is kept."""
    if not named.budget:
        return ""
    return f"[green]{named.budget} ✓[/]" if named.kept(value, ratio) else f"[red]{named.budget} ✗[/]"
