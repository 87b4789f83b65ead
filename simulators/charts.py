"""How is a line drawn over time? SVG as text, by a pure function: no script, no font, nothing from elsewhere."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 72, 12, 30, 30
NAME: Final = 60  # what the name of a stretch takes
STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
SPANS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
FEW: Final = 5
SMALLEST: Final = 1e-6


class Line(NamedTuple):
    """One line. A point that is None is a gap. The `kind`-th colour and pattern: lines are told apart in print too."""

    name: str
    kind: int
    values: Sequence[float | None]


class Stretch(NamedTuple):
    """Part of the time that has a name."""

    name: str
    from_s: float


def chart(
    title: str, unit: str, at_s: Sequence[float], lines: Sequence[Line], stretches: Sequence[Stretch] = ()
) -> str:
    """Draw `lines` over `at_s`, seconds from the start."""
    most_s = max(at_s, default=1.0) or 1.0
    most = max((value for line in lines for value in line.values if value is not None), default=0.0)
    ticks = _ticks(most)
    top = ticks[-1]

    def x(at: float) -> float:
        return round(LEFT + at / most_s * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)

    drawn = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>',
        f'<text class="unit" x="{LEFT - 6}" y="13" text-anchor="end">{escape(unit)}</text>',
    ]
    for tick in ticks:
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>')
        drawn.append(f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{_number(tick)}</text>')
    drawn += [
        f'<text class="tick" x="{x(at)}" y="{HEIGHT - 10}" text-anchor="middle">{_time(at)}</text>'
        for at in _moments(most_s)
    ]
    for stretch in stretches:
        begins = x(min(max(stretch.from_s, 0.0), most_s))
        drawn.append(f'<line class="stage" x1="{begins}" x2="{begins}" y1="{TOP - 16}" y2="{HEIGHT - BOTTOM}"/>')
        is_last = begins > WIDTH - RIGHT - NAME
        place = f'x="{begins - 4}" text-anchor="end"' if is_last else f'x="{begins + 4}"'
        drawn.append(f'<text class="name" {place} y="{TOP - 10}">{escape(stretch.name)}</text>')
    for line in lines:
        points = list(zip(at_s, line.values, strict=True))
        for part in _parts(points):
            path = " ".join(f"{x(at)},{y(value)}" for at, value in part)
            drawn.append(f'<polyline class="line k{line.kind}" points="{path}"/>')
            if len(part) == 1:
                drawn.append(f'<circle class="dot k{line.kind}" cx="{x(part[0][0])}" cy="{y(part[0][1])}" r="2.5"/>')
    drawn.append("</svg>")
    return "".join(drawn)


def _parts(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """The stretches without a gap."""
    parts: list[list[tuple[float, float]]] = [[]]
    for at, value in points:
        if value is None:
            parts.append([])
        else:
            parts[-1].append((at, value))
    return [part for part in parts if part]


def _ticks(most: float) -> list[float]:
    """Round numbers from zero to at least `most`."""
    if most < SMALLEST or not math.isfinite(most):
        return [0.0, 1.0]
    rough = most / FEW
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * each for each in STEPS if size * each >= rough * 0.999)
    return [round(step * number, 10) for number in range(math.ceil(most / step - 1e-9) + 1)]


def _moments(most_s: float) -> list[float]:
    step = next((each for each in SPANS_S if most_s / each <= FEW + 1), SPANS_S[-1])
    return [float(at) for at in range(0, int(most_s) + 1, step)]


def _time(at_s: float) -> str:
    minutes, seconds = divmod(round(at_s), 60)
    return f"{minutes}:{seconds:02d}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"
