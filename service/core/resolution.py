"""From what is a chart drawn? From readings, hours or days: as fine as asked, at a bounded number of rows read."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
READINGS_A_CHART: Final = 20_000
"""More are not read for one chart: it is drawn from hours then."""
HOURS_A_CHART: Final = 20_000
USUAL_SPACINGS: Final = 3
"""Nothing for so many times the usual spacing of readings is a gap: no line is drawn across it."""
_GRID: Final = datetime(2000, 1, 1, tzinfo=UTC)  # days and hours begin here and every so many


class Source(StrEnum):
    RAW = "raw"
    HOUR = "hour"
    DAY = "day"

    @property
    def width(self) -> timedelta:
        return {Source.RAW: timedelta(0), Source.HOUR: HOUR, Source.DAY: DAY}[self]


class Plan(NamedTuple):
    """`width`: of a point; zero: each reading is a point. `begins`: of the first one, at `since` or before."""

    source: Source
    width: timedelta
    begins: datetime


def plan(since: datetime, until: datetime, points: int, interval_s: float, source: Source | None = None) -> Plan:
    """How to show [since, until) in at most `points` points (one more where days or hours are cut at both ends)."""
    span = until - since
    expected = span / timedelta(seconds=interval_s)
    if source is None:
        source = Source.RAW if expected <= READINGS_A_CHART else Source.HOUR
        if source is Source.HOUR and span / HOUR > HOURS_A_CHART:
            source = Source.DAY
    if source is Source.RAW:
        width = timedelta(0) if expected <= points else at_most(span, points)
        return Plan(source, width, since)
    unit = source.width
    width = unit * max(1, -(-span // (unit * points)))
    return Plan(source, width, since - (since - _GRID) % unit)


def at_most(span: timedelta, points: int) -> timedelta:
    """The width of a point where readings are put together: whole milliseconds."""
    return timedelta(milliseconds=-(-span // (timedelta(milliseconds=1) * points)))


def gap_after(interval_s: float, width: timedelta) -> timedelta:
    """How long nothing must have come for the line to end. Within a point nobody could see it."""
    return max(USUAL_SPACINGS * timedelta(seconds=interval_s), width)
