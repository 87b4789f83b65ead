"""What does a check find? How it is, what was seen, and what is to be done."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and something is missing that will be needed one day."""
    PROBLEM = "problem"
    """Something does not work, or will not after the next start."""


class Finding(NamedTuple):
    area: str
    level: Level
    what: str
    do: str = ""


def ok(area: str, what: str) -> Finding:
    return Finding(area, Level.OK, what)


def warning(area: str, what: str, do: str) -> Finding:
    return Finding(area, Level.WARNING, what, do)


def problem(area: str, what: str, do: str) -> Finding:
    return Finding(area, Level.PROBLEM, what, do)


def worst(findings: Iterable[Finding]) -> Level:
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)
