"""What of a pump's sequence was sent, what is stored, and where is the rest? The ledger's books, closed over a span.

Positions are dense within a boot, so what lies between two stored ones was sent: it is stored, or it is missing and
somewhere. What a boot ended with is unknowable, and so are boots of which nothing came. A missing span belongs to
where its successor is stored: spans of time that follow each other add up to the whole.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from service.core.reading import boot_of, position_of
from service.core.sequence import Gap
from service.core.spans import Span


class Where(StrEnum):
    """What became of positions that are not stored."""

    QUARANTINED = "quarantined"  # a message with them was kept aside
    LOST = "lost"  # the pump no longer holds them
    AWAITED = "awaited"  # the pump may send them yet
    UNACCOUNTED = "unaccounted"  # receipted and not there: this must not be


class Run(NamedTuple):
    """Stored positions without a hole, and when the first and the last of them were measured."""

    first: int
    last: int
    first_at: datetime
    last_at: datetime


class Missing(NamedTuple):
    first: int
    last: int
    where: Where

    @property
    def items(self) -> int:
        return self.last - self.first + 1


class Boot(NamedTuple):
    """One life of a pump, from what is stored of it."""

    boot: int
    first: int
    last: int
    stored: int
    first_at: datetime
    last_at: datetime


class Books(NamedTuple):
    """`sent` = `stored` + all that is missing."""

    stored: int
    missing: tuple[Missing, ...]
    boots: tuple[Boot, ...]

    def count(self, where: Where) -> int:
        return sum(span.items for span in self.missing if span.where is where)

    @property
    def sent(self) -> int:
        return self.stored + sum(span.items for span in self.missing)

    @property
    def completeness(self) -> float | None:
        """What of all that was sent is stored; None where nothing was."""
        return self.stored / self.sent if self.sent else None

    @property
    def reboots(self) -> int:
        return max(0, len(self.boots) - 1)


def books_of(
    runs: Sequence[Run],
    *,
    before: int | None,
    gaps: Iterable[Gap],
    claims: Iterable[Span],
    through: int,
    newest: bool = True,
) -> Books:
    """Close the books over `runs`, which are sorted.

    `before`: the last stored position below them, None where there is none. `gaps`: what the ledger lacks now.
    `claims`: what quarantined messages would have filled. `through`: up to where receipts were sent. `newest`: nothing
    is stored after the runs.
    """
    gaps, claims = list(gaps), joined(claims)
    if not runs:
        return Books(0, (), ())
    holes = _holes(runs, before, gaps)
    tail = _tail(runs[-1].last, claims) if newest else []
    missing = [span for hole in [*holes, *tail] for span in _placed(hole, gaps, claims, through)]
    stored = sum(run.last - run.first + 1 for run in runs)
    return Books(stored, tuple(missing), tuple(_boots(runs)))


def joined(spans: Iterable[Span]) -> list[Span]:
    """Sorted and disjoint."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def _holes(runs: Sequence[Run], before: int | None, gaps: Iterable[Gap]) -> list[Span]:
    holes: list[Span] = []
    previous = before
    for run in runs:
        start = _first_missing(previous, run.first) if previous is not None else _named(run.first, gaps)
        if start < run.first:
            holes.append((start, run.first - 1))
        previous = run.last
    return holes


def _first_missing(previous: int, following: int) -> int:
    """The first position after `previous` that was sent for certain, `following` being stored."""
    same_boot = boot_of(previous) == boot_of(following)
    return previous + 1 if same_boot else position_of(boot_of(following), 0)


def _named(first: int, gaps: Iterable[Gap]) -> int:
    """Where what the ledger lacks right before the very first stored position begins."""
    for gap in sorted(gaps, reverse=True):
        if gap.to_position == first - 1:
            first = gap.from_position
    return first


def _tail(last: int, claims: Iterable[Span]) -> list[Span]:
    """What is stored of nothing after it, and was sent all the same: kept aside, right where the stored ones end."""
    return [
        (max(start, last + 1), end)
        for start, end in claims
        if start <= last + 1 <= end and boot_of(end) == boot_of(last)
    ]


def _placed(hole: Span, gaps: Sequence[Gap], claims: Sequence[Span], through: int) -> list[Missing]:
    """The hole in parts, each with where it is. What is in quarantine is there, also where the pump has let it go."""
    spans = [(first, last, Where.QUARANTINED) for first, last in claims]
    spans += [(gap.from_position, gap.to_position, Where.LOST) for gap in gaps if gap.lost]
    spans += [(gap.from_position, gap.to_position, Where.AWAITED) for gap in gaps if not gap.lost]
    spans += [(through + 1, hole[1], Where.AWAITED), (hole[0], hole[1], Where.UNACCOUNTED)]
    found: list[Missing] = []
    left = [hole]
    for first, last, where in spans:
        if last < hole[0] or first > hole[1]:
            continue
        rest: list[Span] = []
        for start, end in left:
            low, high = max(start, first), min(end, last)
            if low > high:
                rest.append((start, end))
                continue
            found.append(Missing(low, high, where))
            rest += [part for part in ((start, low - 1), (high + 1, end)) if part[0] <= part[1]]
        left = rest
    return sorted(found)


def _boots(runs: Sequence[Run]) -> list[Boot]:
    boots: list[Boot] = []
    for run in runs:
        number, items = boot_of(run.first), run.last - run.first + 1
        if boots and boots[-1].boot == number:
            known = boots[-1]
            boots[-1] = known._replace(last=run.last, stored=known.stored + items, last_at=run.last_at)
        else:
            boots.append(Boot(number, run.first, run.last, items, run.first_at, run.last_at))
    return boots
