"""What was measured, beside what, and how much does the design ask for? The table, and build/bench.json."""

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

CAPTION = "ratio: of the C subscriber on the same broker; of the script: of ours on NATS"

MESSAGES, READINGS, MICROSECONDS, MILLISECONDS, SECONDS = "messages/s", "readings/s", "µs", "ms", "s"


@dataclass(frozen=True, slots=True)
class Named:
    """One figure that is reported. A budget is the least ratio, value, or the most of a cost."""

    unit: str
    of: str = ""
    least_ratio: float = 0.0
    least: float = 0.0
    most: float = math.inf


CATALOGUE = {
    "ingest.nats.single": Named(MESSAGES, of="baseline.nats_sub", least_ratio=0.85),
    "baseline.nats_sub": Named(MESSAGES),
    "ingest.mosquitto.single": Named(MESSAGES, of="baseline.mosquitto_sub", least_ratio=0.9),
    "baseline.mosquitto_sub": Named(MESSAGES),
    "ingest.nats.sixty": Named(READINGS, least=200_000),
    "baseline.aiomqtt_row": Named(MESSAGES, of="ingest.nats.single"),
    "cpu.message_us": Named(MICROSECONDS, most=35),
    "alert.latency_p99_ms": Named(MILLISECONDS, most=250),
    "restart.pumps_10000_s": Named(SECONDS, most=10),
    "rules.round_1000_us": Named(MICROSECONDS, most=0.8),
    "rules.round_100_us": Named(MICROSECONDS, most=4),
}


@dataclass
class Results:
    """A list of values for each name, one a round; or why there is none.

    The value is the median of the rounds, and a ratio the median of the rounds' ratios: machines drift, and both were
    measured within the same minute.
    """

    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    skipped: dict[str, str] = field(default_factory=dict)

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

    def as_json(self) -> dict[str, dict[str, Any]]:
        """{name: {value, unit, ratio, of}}, and `skipped` with the reason where nothing was measured."""
        told: dict[str, dict[str, Any]] = {}
        for name in self.names():
            value, ratio = self.value(name), self.ratio(name)
            told[name] = {
                "value": value if value is None else float(f"{value:.5g}"),
                "unit": CATALOGUE[name].unit,
                "ratio": ratio if ratio is None else round(ratio, 4),
                "of": CATALOGUE[name].of or None,
            }
            if name in self.skipped:
                told[name]["skipped"] = self.skipped[name]
        return told

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
            row = name, _short(value), named.unit, _spread(self.values[name]), shown, _judged(named, value, ratio)
            table.add_row(*row)
        return table


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _spread(rounds: list[float]) -> str:
    """How far the rounds lie apart, as half their range."""
    if len(rounds) < 2:
        return ""
    return f"±{(max(rounds) - min(rounds)) / 2 / statistics.median(rounds):.0%}"


def _judged(named: Named, value: float, ratio: float | None) -> str:
    """The budget, and whether it is kept."""
    if named.least_ratio:
        text, kept = f"≥ {named.least_ratio}", ratio is not None and ratio >= named.least_ratio
    elif named.least:
        text, kept = f"≥ {_short(named.least)}", value >= named.least
    elif named.most < math.inf:
        text, kept = f"≤ {_short(named.most)}", value <= named.most
    else:
        return ""
    return f"[green]{text} ✓[/]" if kept else f"[red]{text} ✗[/]"
