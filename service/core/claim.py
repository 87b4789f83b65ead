"""Which positions would a message have filled that could not be taken? As far as its first bytes say so."""

import re
from typing import Any, Final

import msgspec

from service.core.payload import UNREADABLE
from service.core.reading import MAX_BOOT, MAX_READINGS_A_MESSAGE, MAX_SEQ, position_of
from service.core.spans import Span

_BOOT: Final = re.compile(rb'"boot"\s*:\s*([0-9]{1,7})\b')
_SEQ: Final = re.compile(rb'"seq"\s*:\s*([0-9]{1,13})\b')
_TIMES: Final = re.compile(rb'"time_ms"\s*:\s*\[([^\]]*)')


def claimed(head: bytes) -> Span | None:
    """First and last position, both included; None where the bytes name none that can be."""
    said = _read(head)
    boot, seq, times = said.get("boot"), said.get("seq"), said.get("time_ms")
    if type(boot) is not int or type(seq) is not int or not (0 <= boot <= MAX_BOOT and 0 <= seq <= MAX_SEQ):
        return None
    count = len(times) if isinstance(times, list) else 1
    if not 0 < count <= MAX_READINGS_A_MESSAGE or seq + count - 1 > MAX_SEQ:
        return None
    first = position_of(boot, seq)
    return first, first + count - 1


def _read(head: bytes) -> dict[str, Any]:
    """The keys as they were meant: all of it where it can be read, else what stands at the beginning."""
    decode = msgspec.json.decode if head[:1].strip() in (b"", b"{") else msgspec.msgpack.decode
    try:
        said = decode(head)
    except UNREADABLE:
        said = _found(head)
    return said if isinstance(said, dict) else {}


def _found(head: bytes) -> dict[str, Any]:
    boot, seq, times = _BOOT.search(head), _SEQ.search(head), _TIMES.search(head)
    if boot is None or seq is None:
        return {}
    return {"boot": int(boot[1]), "seq": int(seq[1]), "time_ms": times[1].split(b",") if times else 0}
