"""How are values said to people? Times as words, doses beside volumes, priorities with a shape that needs no colour."""

from datetime import datetime, timedelta
from typing import Final

from service.core.wording import span

SHAPES: Final = {"high": "▲", "medium": "◆", "low": "●"}
"""Beside the word and the colour of a priority: told apart by each of the three alone."""
NEVER: Final = "never"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in words."""
    if at is None:
        return NEVER
    passed = now - at
    return "just now" if passed < timedelta(seconds=5) else f"{span(passed)} ago"


def milliseconds(at: datetime) -> int:
    """Since 1970: as scripts of the board count time."""
    return round(at.timestamp() * 1000)


def condition(name: str) -> str:
    """As a person would say it."""
    words = name.split("_")
    if words[-1] == "gross":
        words = [words[-1], *words[:-1]]
    return " ".join(words).capitalize()


_LONG: Final = 24


def is_long(value: str) -> bool:
    """Whether it wants the width of two among the values of a page."""
    return len(value) > _LONG


def dose(volume_ml_d: float | None, concentration_ug_ml: float | None) -> str:
    """A rate as volume, and as dose where the concentration is known: micrograms below a thousand, else milligrams."""
    if volume_ml_d is None:
        return "unknown"
    text = f"{volume_ml_d:.3f} mL/d"
    if concentration_ug_ml is None:
        return text
    ug_d = volume_ml_d * concentration_ug_ml
    if ug_d >= 1000:
        return f"{text} = {ug_d / 1000:.2f} mg/d"
    return f"{text} = {ug_d:.0f} µg/d" if ug_d >= 100 else f"{text} = {ug_d:.1f} µg/d"


def days(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} d"
