"""How does a command read what several of them take? argparse names the argument where this refuses."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime


def instant(text: str) -> datetime:
    """`2026-11-22T20:00:00Z`: a time without its zone is refused."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at


def days_up_to(most: int) -> Callable[[str], float]:
    """A span in days, above 0."""

    def days(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number <= most:
            raise ArgumentTypeError(f"must be a number of days above 0 and at most {most}")
        return number

    return days
