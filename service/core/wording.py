"""How are the numbers and times of an alert said? Its evidence as words."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from service.core.lifecycle import pump_time


class Evidence:
    """An alert's evidence as words. A missing value raises KeyError: then the plain sentence must do."""

    def __init__(self, values: Mapping[str, Any], now: datetime) -> None:
        self._values = values
        self._now = now

    def number(self, name: str) -> float:
        value = self._values.get(name)
        if not isinstance(value, int | float):
            raise KeyError(name)
        return float(value)

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or not value:
            raise KeyError(name)
        return value

    def short(self, name: str) -> str:
        return short(self.number(name))

    def days(self, name: str) -> str:
        return span(timedelta(days=self.number(name)))

    def at(self, name: str) -> str:
        """A time in ms, as a person reads it."""
        return clock_time(pump_time(int(self.number(name))), self._now)

    @property
    def since(self) -> str:
        return self.at("began_ms")


def clock_time(at: datetime, now: datetime) -> str:
    """`at` in UTC, with the day where it is not today's."""
    day = "" if at.date() == now.date() else f" on {at.day} {at:%B %Y}"
    return f"{at:%H:%M} UTC{day}"


def short(value: float) -> str:
    """Three digits are what the sensors are worth."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 1:
        return f"{max(length.total_seconds(), 0):.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"
