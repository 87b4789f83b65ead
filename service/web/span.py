"""Which span of time does a page show? One of the usual lengths up to now, or from day to day, as the address says."""

from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlencode

LENGTHS: Final = {
    "6h": ("6 hours", timedelta(hours=6)),
    "1d": ("Day", timedelta(days=1)),
    "7d": ("Week", timedelta(days=7)),
    "30d": ("Month", timedelta(days=30)),
    "365d": ("Year", timedelta(days=365)),
}
USUAL: Final = "1d"
LONGEST: Final = timedelta(days=3660)


class Span(NamedTuple):
    """Either `length`, a key of LENGTHS; or whole days (UTC), both included."""

    length: str
    first: date | None = None
    last: date | None = None

    @property
    def up_to_now(self) -> bool:
        return self.first is None

    def ends(self, now: datetime) -> tuple[datetime, datetime]:
        if self.first is None or self.last is None:
            return now - LENGTHS[self.length][1], now
        midnight = datetime.min.time()
        until = datetime.combine(self.last + timedelta(days=1), midnight, UTC)
        return datetime.combine(self.first, midnight, UTC), min(until, now)

    def query(self) -> str:
        if self.first is None or self.last is None:
            return urlencode({"span": self.length})
        return urlencode({"from": self.first.isoformat(), "to": self.last.isoformat()})


def span_of(length: str, first: str, last: str, now: datetime) -> Span:
    """What the address asks for; what cannot be shown becomes the usual span."""
    try:
        begins, ends = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        return Span(length if length in LENGTHS else USUAL)
    if begins > ends or begins > now.date() or ends - begins > LONGEST:
        return Span(USUAL)
    return Span("", begins, min(ends, now.date()))
