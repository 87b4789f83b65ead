"""How do the measurements look to people? One page with charts: no script, nothing from elsewhere, dark, on paper."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from simulators.page import STYLE
from tests.benchmarks.results import CATALOGUE, CURVES, short

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 24, 34
STEPS: Final = (1, 2, 2.5, 5, 10)
BAR, GAP = 22, 10
BARS: Final = (
    ("Through Mosquitto", ("ingest.mosquitto.single", "baseline.mosquitto_sub")),
    ("Through NATS", ("ingest.nats.single", "baseline.nats_sub", "baseline.aiomqtt_batch", "baseline.aiomqtt_row")),
)
MORE_STYLE: Final = ".bar{opacity:.85}.bar.k0{fill:var(--k0)}.bar.k1{fill:var(--k1);opacity:.55}.dot{fill:currentColor}"

Figures = Mapping[str, Mapping[str, Any]]


def page_of(told: Mapping[str, Any]) -> str:
    """`told`: as Results.as_json has it."""
    figures, curves = told["figures"], told["curves"]
    body = "".join(
        (
            _head(told["machine"]),
            *(_bars(title, names, figures) for title, names in BARS),
            *(_curve(name, lines) for name, lines in curves.items()),
            _table(figures),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Benchmarks</title><style>{STYLE}{MORE_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(machine: Mapping[str, Any]) -> str:
    told = " · ".join(f"{escape(str(name).replace('_', ' '))}: {escape(str(value))}" for name, value in machine.items())
    return (
        f"<h1>Benchmarks</h1><p class=soft>{told}</p>"
        "<p class=note>Everything ran on this one machine: publisher, broker, ingester and database. Ratios within one "
        "run are what counts; absolute figures are this machine's, and load is what others had it do meanwhile.</p>"
    )


def _bars(title: str, names: Sequence[str], figures: Figures) -> str:
    known = [name for name in names if name in figures and figures[name]["value"] is not None]
    if not known:
        return ""
    most = max(figures[name]["value"] for name in known)
    drawn = []
    for number, name in enumerate(known):
        value = figures[name]["value"]
        y = number * (BAR + GAP + 14)
        kind = 0 if name.startswith("ingest") else 1
        width = max(round(value / most * (WIDTH - 110), 1), 1)
        drawn.append(f'<text class="name" x="0" y="{y + 11}">{escape(CATALOGUE[name].title)}</text>')
        drawn.append(f'<rect class="bar k{kind}" x="0" y="{y + 16}" width="{width}" height="{BAR}" rx="3"/>')
        drawn.append(f'<text class="tick" x="{width + 6}" y="{y + 31}">{short(value)}/s</text>')
    height = len(known) * (BAR + GAP + 14)
    svg = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(drawn)}</svg>'
    return f"<h2>{escape(title)}: messages a second</h2><figure>{svg}</figure>"


def _curve(name: str, lines: Mapping[str, Mapping[str, float]]) -> str:
    curve = CURVES[name]
    places = sorted({int(at) for line in lines.values() for at in line})
    top = _top(max(value for line in lines.values() for value in line.values()))
    span = max(len(places) - 1, 1)

    def x(at: int) -> float:
        return round(LEFT + places.index(at) / span * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)

    drawn = [f'<text class="unit" x="{LEFT - 6}" y="13" text-anchor="end">{escape(curve.unit)}</text>']
    for part in range(5):
        tick = top * part / 4
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>')
        drawn.append(f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{short(tick)}</text>')
    drawn += [f'<text class="tick" x="{x(at)}" y="{HEIGHT - 12}" text-anchor="middle">{at:,}</text>' for at in places]
    for kind, line in enumerate(lines.values()):
        points = [(x(int(at)), y(value)) for at, value in line.items()]
        path = " ".join(f"{across},{down}" for across, down in points)
        drawn.append(f'<polyline class="line k{kind}" points="{path}"/>')
        drawn += [f'<circle class="dot k{kind}" cx="{across}" cy="{down}" r="3"/>' for across, down in points]
    legend = "".join(
        f'<span><svg viewBox="0 0 28 8"><line class="line k{kind}" x1="0" x2="28" y1="4" y2="4"/></svg>'
        f"{escape(line)}</span>"
        for kind, line in enumerate(lines)
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(curve.title)}">{"".join(drawn)}</svg>'
    over = f"<span>over {escape(curve.over)}</span>"
    return f"<h2>{escape(curve.title)}</h2><figure>{svg}<figcaption>{legend}{over}</figcaption></figure>"


def _top(most: float) -> float:
    size = 1.0
    while size * 10 <= most:
        size *= 10
    return next(size * step for step in STEPS if size * step >= most)


def _table(figures: Figures) -> str:
    rows = []
    for name, figure in figures.items():
        named, value, ratio = CATALOGUE[name], figure["value"], figure["ratio"]
        if value is None:
            rows.append(f"<tr><td>{escape(named.title)}</td><td colspan=4>{escape(figure['skipped'])}</td></tr>")
            continue
        kept = named.kept(value, ratio)
        verdict = f'<b class="{"good" if kept else "bad"}">{escape(named.budget)} {"✓" if kept else "✗"}</b>'
        shown = "" if ratio is None else f"{ratio:.2f} of {escape(CATALOGUE[named.of].title)}"
        rows.append(
            f"<tr><td>{escape(named.title)}</td><td>{short(value)}</td><td>{escape(named.unit)}</td><td>{shown}</td>"
            f"<td>{verdict if named.budget else ''}</td></tr>"
        )
    head = "<tr><th>what<th>value<th>unit<th>ratio<th>asked for</tr>"
    return f"<h2>All figures</h2><div class=wide><table>{head}{''.join(rows)}</table></div>"
