"""Builders: one pump's readings with its events among them, in one dense sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.core.reading import EventType, Items, position_of
from tests.pumps import MINUTE_MS, NOON_MS, event, readings

Happening = tuple[float, EventType] | tuple[float, EventType, str]
"""Minutes after noon, what, and its code where it has one."""


def history(flow: Sequence[float], *happenings: Happening, **about: Any) -> Items:
    """A reading a minute from noon on, each with its share of the program, and what happens between them."""
    parts = [readings(len(flow), flow=flow, **about)]
    for minute, kind, *code in happenings:
        at_ms = NOON_MS + round(minute * MINUTE_MS)
        parts.append(event(kind, seq=0, code=code[0] if code else None, at_ms=at_ms, pump=about.get("pump", 0)))
    items = np.concatenate(parts)
    # An event of a reading's own moment came before it.
    items = items[np.lexsort((items["kind"] == EventType.READING, items["measured_ms"]))]
    items["position"] = position_of(1, 0) + np.arange(len(items))
    return items


def minutes(*spans: tuple[int, float]) -> list[float]:
    """Flow for each minute of the spans (length, share of the program)."""
    return [share for length, share in spans for _ in range(length)]
