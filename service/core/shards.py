"""Which shard is a pump in? The number that the broker's subject mapping comes to, for whoever has no broker to ask."""

import re
from collections.abc import Collection, Iterable
from typing import Final

SHARDS: Final = 64
"""For ever: shards move between ingesters, and their number does not change. Where it did while pumps published, half
of what the broker had confirmed was on shards that nobody subscribed to.
"""
_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_PART: Final = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?")


def shard_of(pump_id: str) -> int:
    """32-bit FNV-1a of the id, modulo the number of shards: what NATS calls `partition(64, 1)`."""
    digest = _OFFSET
    for byte in pump_id.encode():
        digest = (digest ^ byte) * _PRIME & 0xFFFFFFFF
    return digest % SHARDS


def parse_shards(text: str) -> frozenset[int]:
    """Read `0-20, 33`; nothing: none. ValueError says what is wrong."""
    found: set[int] = set()
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _PART.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= first <= last < SHARDS:
            raise ValueError(f"{part!r} is no shard and no range of shards from 0 to {SHARDS - 1}")
        found.update(range(first, last + 1))
    return frozenset(found)


def ranges_of(shards: Collection[int]) -> str:
    """The same as a person would write it: `0-20, 33`."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in _runs(sorted(shards)))


def topic_filters(shard: int) -> list[str]:
    """What the session of a shard subscribes to. The first one takes in, too, what the broker's mapping leaves as it
    is: no pump speaks so, but what nobody subscribes to vanishes without a trace.
    """
    return [f"shard/{shard}/pumps/v1/+/+", *(["pumps/#"] if shard == 0 else [])]


def _runs(shards: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for shard in shards:
        if runs and runs[-1][1] == shard - 1:
            runs[-1] = (runs[-1][0], shard)
        else:
            runs.append((shard, shard))
    return runs
