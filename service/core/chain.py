"""Was a history changed, shortened or added to afterwards? Each entry holds the hash of the one before it and its own.

The database computes the same where it writes (migration 0012): nobody who writes can forget it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

Fields = Sequence[str | None]


class Entry(NamedTuple):
    """One row: its place in its chain from 1, what it says, and the hash that stands beside it."""

    number: int
    fields: Fields
    hash: bytes


def link(previous: bytes, fields: Fields) -> bytes:
    """Each field with its length in bytes, so that no two rows read the same."""
    texts = ("-" if field is None else f"{len(field.encode())}:{field}" for field in fields)
    return hashlib.sha256(previous + ",".join(texts).encode()).digest()


def chain_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def broken(entries: Iterable[Entry], count: int | None = None) -> Iterator[tuple[int, str]]:
    """Where a chain is broken and how, as (number, what). `count`: how many entries there ought to be."""
    previous, expected = b"", 1
    for entry in entries:
        while expected < entry.number:
            yield expected, "is missing"
            expected += 1
            previous = b""
        if entry.number < expected:
            yield entry.number, "was put in"
            continue
        gap = expected > 1 and not previous
        if not gap and link(previous, entry.fields) != entry.hash:
            yield entry.number, "was changed"
        previous, expected = entry.hash, entry.number + 1
    for number in range(expected, (count or 0) + 1):
        yield number, "is missing"
    for number in range((expected if count is None else count) + 1, expected):
        yield number, "was put in"


def root(previous: bytes, day: str, hashes: Iterable[bytes], newest_of_audit: bytes) -> bytes:
    """Of all that was added on a day: the root before it, every entry's hash in order, and the audit's newest."""
    digest = hashlib.sha256(previous + day.encode())
    for each in hashes:
        digest.update(each)
    digest.update(newest_of_audit)
    return digest.digest()
