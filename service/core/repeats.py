"""Which pumps send again and again what is known already, and which of their messages need not be read any more?

Counted is what brings nothing new (docs/decisions/0015): never a new reading, however many of them come. A pump may
bring so much of it; beyond that, what is the same to the byte as something that was read and brought nothing is left
unread. Everything else of that pump is read as ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

AT_ONCE: Final = 1_000.0
A_SECOND: Final = 5.0
"""Messages without anything new that a pump may send at once, and from then on a second."""

READINGS_LIKE_A_MESSAGE: Final = 100
"""So many readings that are known count as much as one message more."""

KNOWN_OF_A_PUMP: Final = 1_024
LOOKED_AT_AGAIN_MS: Final = 60_000
"""What a message brings can change, as when a person accepts a boot: nothing stays unread for longer than this."""

SAMPLED_EVERY_MS: Final = 3_600_000
MOST_PUMPS: Final = 65_536


class Idle(NamedTuple):
    """A message that brought nothing new."""

    pump_id: bytes
    print: int | None  # what it is known by, if the same would bring nothing again
    readings: int
    received_ms: int
    unread: bool = False


class Told(NamedTuple):
    """A pump that repeats itself, since when, until when, and how many messages more than were told of before."""

    pump_id: str
    since_ms: int
    last_ms: int
    messages: int
    unread: int  # of these, and in no other account


@dataclass(slots=True)
class Repeater:
    left: float
    at_ms: int
    since_ms: int = 0  # beyond what it may since then
    messages: int = 0  # since then
    untold: int = 0
    untold_unread: int = 0
    sampled_ms: int = -SAMPLED_EVERY_MS
    known: set[int] = field(default_factory=set)
    known_since_ms: int = 0

    def has(self, topic: bytes, payload: bytes, received_ms: int) -> bool:
        """Whether this is the same as what was read and brought nothing. No message is lost by a print that two share:
        it has no receipt, and is read when it comes after that is forgotten.
        """
        if received_ms - self.known_since_ms > LOOKED_AT_AGAIN_MS:
            self.known.clear()
            self.known_since_ms = received_ms
        return print_of(topic, payload) in self.known


class Repeats:
    """The pumps that brought nothing new of late, and among them `limited`: those that did so too often."""

    def __init__(self) -> None:
        self.limited: dict[bytes, Repeater] = {}
        self._seen: dict[bytes, Repeater] = {}

    def note(self, idle: Iterable[Idle]) -> None:
        """Count these, in the order in which they came."""
        for each in idle:
            pump = self._seen.get(each.pump_id)
            if pump is None:
                pump = self._begun(each)
            self._charge(pump, each)
            if not pump.since_ms:
                if pump.left > 0:
                    continue
                pump.since_ms = pump.known_since_ms = each.received_ms
                self.limited[each.pump_id] = pump
            pump.messages += 1
            pump.untold += 1
            pump.untold_unread += each.unread
            if each.print is not None and len(pump.known) < KNOWN_OF_A_PUMP:
                pump.known.add(each.print)

    def is_sample(self, pump_id: bytes, received_ms: int) -> bool:
        """Whether this unread message is the one of its pump that is kept aside in this hour."""
        pump = self.limited[pump_id]
        if received_ms - pump.sampled_ms < SAMPLED_EVERY_MS:
            return False
        pump.sampled_ms = received_ms
        return True

    def told(self) -> list[Told]:
        """What has come to be known of the limited ones since this was last asked."""
        news = [
            Told(pump_id.decode(), pump.since_ms, pump.at_ms, pump.untold, pump.untold_unread)
            for pump_id, pump in self.limited.items()
            if pump.untold
        ]
        for pump in self.limited.values():
            pump.untold = pump.untold_unread = 0
        return news

    def forget(self, now_ms: int) -> None:
        """Those that have been within what they may for long enough are as any other pump."""
        over = [pump_id for pump_id, pump in self._seen.items() if _left_at(pump, now_ms) >= AT_ONCE]
        for pump_id in over:
            del self._seen[pump_id]
            self.limited.pop(pump_id, None)

    def _begun(self, first: Idle) -> Repeater:
        if len(self._seen) >= MOST_PUMPS:
            self.forget(first.received_ms)
        if len(self._seen) >= MOST_PUMPS:  # so many at once are no pumps that repeat themselves
            self._seen = dict(self.limited)
        pump = self._seen[first.pump_id] = Repeater(AT_ONCE, first.received_ms)
        return pump

    def _charge(self, pump: Repeater, idle: Idle) -> None:
        left = _left_at(pump, idle.received_ms) - 1 - idle.readings / READINGS_LIKE_A_MESSAGE
        pump.left = max(left, 0.0)
        pump.at_ms = max(pump.at_ms, idle.received_ms)


def print_of(topic: bytes, payload: bytes) -> int:
    """What stands for a message; its payload is 256 KiB at most, and kept nowhere."""
    return hash((topic, payload))


def _left_at(pump: Repeater, now_ms: int) -> float:
    return min(AT_ONCE, pump.left + max(0, now_ms - pump.at_ms) / 1000 * A_SECOND)
