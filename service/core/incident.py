"""One alert on paper: what was measured, what happened when, who was told and who answered. One file of HTML."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_WIDTH: Final = 720.0
_HEIGHT: Final = 160.0
_STYLE: Final = """
body { font: 11pt/1.45 system-ui, sans-serif; color: #111; background: #fff; margin: 2rem auto; max-width: 48rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #bbb; }
svg { width: 100%; height: auto; border: 1px solid #bbb; }
thead { display: table-header-group; } tr { break-inside: avoid; }
footer { color: #444; margin-top: 2rem; }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """`evidence` is the alert's, with the readings that decided; the rest are rows as the API shows them."""

    title: str
    do_now: str
    facts: Sequence[tuple[str, object]]
    evidence: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    notifications: Sequence[Mapping[str, Any]]
    written_at: datetime


def page(incident: Incident) -> str:
    """Without scripts, and nothing is loaded: it is the same in ten years."""
    readings = incident.evidence.get("readings") or {}
    limits = [(key, value) for key, value in incident.evidence.items() if not isinstance(value, dict | list)]
    parts = [
        f"<h1>{_text(incident.title)}</h1>",
        f"<p><strong>What to do:</strong> {_text(incident.do_now)}</p>",
        _table("The alert", ("", ""), incident.facts),
        "<h2>Readings</h2>",
        chart(readings),
        _table("Limits and statistics that decided", ("name", "value"), limits),
        _table(
            "What happened",
            ("when", "what", "who", "note"),
            [(row["at"], row["event"], row["actor"], row["note"]) for row in incident.history],
        ),
        _table(
            "Who was told",
            ("when", "endpoint", "of what", "state", "attempts"),
            [
                (row["created_at"], row["endpoint"], row["kind"], row["state"], _tries(row["tries"]))
                for row in incident.notifications
            ],
        ),
        _table(
            "Who answered",
            ("when", "who", "note"),
            [(row["at"], row["actor"], row["note"]) for row in incident.history if row["event"] in _ANSWERS],
        ),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(incident.title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n"
        f"<footer>pumpwatch, written {_text(incident.written_at)}. Simulation, not for clinical use.</footer>\n"
        "</body></html>\n"
    )


_ANSWERS: Final = frozenset({"acknowledged", "reset", "shelved", "unshelved"})


def chart(readings: Mapping[str, Sequence[Any]]) -> str:
    """Program and measured flow over the readings that decided; the program dashed."""
    series = {name: _numbers(readings.get(name, ())) for name in ("program_ml_d", "flow_ml_d")}
    values = [value for numbers in series.values() for value in numbers]
    if not values:
        return "<p>No readings decided this.</p>"
    top = max(*values, 0.0) * 1.1 or 1.0
    lines = []
    for name, numbers in series.items():
        step = _WIDTH / max(len(numbers) - 1, 1)
        points = " ".join(f"{i * step:.1f},{_HEIGHT * (1 - value / top):.1f}" for i, value in enumerate(numbers))
        dashes = ' stroke-dasharray="6 4"' if name == "program_ml_d" else ""
        lines.append(f'<polyline points="{points}" fill="none" stroke="#111" stroke-width="1.5"{dashes}/>')
    times = readings.get("measured_at") or ("", "")
    said = f"Flow (line) and program (dashed), 0 to {top:.3g} mL/d, from {times[0]} to {times[-1]}"
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{_text(said)}">{"".join(lines)}</svg>'
        f"<p>{_text(said)}, {len(series['flow_ml_d'])} readings.</p>"
    )


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values if isinstance(value, int | float)]


def _tries(tries: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{each['at']} {each['outcome']} {each.get('status') or ''}".rstrip() for each in tries)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(each)}</th>" for each in header)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    body = body or f'<tr><td colspan="{len(header)}">Nobody, nothing.</td></tr>'
    return f"<h2>{_text(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    """As text, whatever a stranger wrote; times in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return "" if value is None else html.escape(str(value))
