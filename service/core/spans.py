"""Which positions lie together? Runs of positions of one pump: sorted, disjoint, never across a boot."""

from collections.abc import Sequence

from service.core.reading import seq_of

Span = tuple[int, int]
"""First and last position, both included."""


def find(spans: Sequence[Span], position: int) -> int | None:
    for at, (first, last) in enumerate(spans):
        if first <= position <= last:
            return at
    return None


def joins(islands: Sequence[Span], through: int, position: int) -> bool:
    """Whether `position` makes no island of its own."""
    return position == through + 1 or any(first - 1 <= position <= last + 1 for first, last in islands)


def insert(islands: list[Span], position: int) -> None:
    """Add one position to the sorted, disjoint spans, joining neighbours of the same boot."""
    at = len(islands)
    while at and islands[at - 1][0] > position:
        at -= 1
    islands.insert(at, (position, position))
    joins_after = at + 1 < len(islands) and islands[at + 1][0] == position + 1 and seq_of(position + 1) != 0
    if joins_after:
        islands[at : at + 2] = [(position, islands[at + 1][1])]
    if at and islands[at - 1][1] == position - 1 and seq_of(position) != 0:
        islands[at - 1 : at + 1] = [(islands[at - 1][0], islands[at][1])]


def without(span: Span, position: int) -> list[Span]:
    return [part for part in ((span[0], position - 1), (position + 1, span[1])) if part[0] <= part[1]]
