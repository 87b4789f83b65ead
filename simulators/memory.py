"""What does a pump still hold, and what must it send now? Store and forward for one pump, without a clock.

The rules are those of docs/interface.md, "Receipts". Times are seconds of any clock that never runs backwards.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from simulators.simulation import Message

SEQ_BITS: Final = 40
MAX_ON_THE_WIRE: Final = 32
RESEND_AFTER_S: Final = 30.0
RESEND_DOUBLINGS: Final = 3  # 30, 60, 120, 240 s: a service that is down is not helped by hurry
# A receipt says nothing about what was on its way when it was written: sent less than this before it came, or less than
# twice what the latest receipt shows the way to take. Without that a slow service would be sent everything twice.
IN_FLIGHT_S: Final = 3.0
AGAIN_A_RECEIPT: Final = 4  # messages; what else is missing follows with the next receipt, or by its own time
LEFT_OUT_AT_MOST: Final = 5
LEFT_OUT_EVERY_S: Final = 8.0  # receipts in quick succession count as one


@dataclass(slots=True, eq=False)
class Held:
    """One message in the memory. `sent_s` is when it was sent last."""

    message: Message
    first: int  # positions
    last: int
    first_sent_s: float = math.inf
    sent_s: float = -math.inf
    resend_s: float = math.inf
    counted_s: float = -math.inf
    tries: int = 0
    left_out: int = 0
    queued: bool = True
    on_the_wire: bool = False  # sent on this connection, and the broker has not settled it
    gone: bool = False  # covered by a receipt, given up or overwritten


class Covered(NamedTuple):
    """What a receipt did."""

    receipted: list[Held]
    given_up: list[Held]


class Memory:
    """The bounded memory of one pump. `jitter` returns a number in [0, 1)."""

    # Lists, since most hold one message: an empty deque takes as much memory as all the rest.
    __slots__ = (
        *("held", "items", "through", "next_resend_s"),
        *("_capacity_items", "_jitter", "_queue", "_on_the_wire", "_lag_s", "_longest_lag_s"),
    )

    def __init__(self, capacity_items: int, jitter: Callable[[], float]) -> None:
        self._capacity_items = capacity_items
        self._jitter = jitter
        self.held: list[Held] = []
        self.items = 0
        self.through = -1  # the highest position that a receipt has named
        self.next_resend_s = math.inf  # not later than the first message to send again
        self._queue: list[Held] = []
        self._on_the_wire = 0
        self._lag_s = 0.0  # from sending to receipt, of the newest message that the latest receipt covered
        self._longest_lag_s = 0.0  # the same, if it was the first sending that arrived

    @property
    def held_from(self) -> tuple[int, int] | None:
        """The oldest position held, as (boot, seq); None: nothing is held."""
        return (self.held[0].message.boot, self.held[0].message.seq) if self.held else None

    @property
    def wants_to_send(self) -> bool:
        return bool(self._queue) and self._on_the_wire < MAX_ON_THE_WIRE

    def hold(self, message: Message, *, queued: bool = True) -> list[Held]:
        """Keep a message until its receipt; return what had to go because the memory is full, oldest first."""
        first = message.boot << SEQ_BITS | message.seq
        held = Held(message, first, first + message.items - 1)
        self.held.append(held)
        if queued:
            self._queue.append(held)
        else:
            held.queued = False
        self.items += message.items
        overwritten = []
        while self.items > self._capacity_items and len(self.held) > 1:
            overwritten.append(self._let_go())
        return overwritten

    def release(self, held: Held) -> None:
        """Queue what was held without being queued."""
        if not (held.queued or held.tries or held.gone):
            held.queued = True
            self._queue.append(held)

    def take(self, now_s: float, at_most: int) -> list[Held]:
        """Return what to send now, in order, and count it as sent."""
        taken: list[Held] = []
        room = min(at_most, MAX_ON_THE_WIRE - self._on_the_wire)
        looked_at = 0
        for held in self._queue:
            if len(taken) >= room:
                break
            looked_at += 1
            held.queued = False
            if held.gone or held.on_the_wire:
                continue
            patience = RESEND_AFTER_S * 2 ** min(held.tries, RESEND_DOUBLINGS)
            held.sent_s = now_s
            held.first_sent_s = min(held.first_sent_s, now_s)
            held.resend_s = now_s + patience * (1 + 0.25 * self._jitter())
            held.tries += 1
            held.on_the_wire = True
            self.next_resend_s = min(self.next_resend_s, held.resend_s)
            taken.append(held)
        del self._queue[:looked_at]
        self._on_the_wire += len(taken)
        return taken

    def settled(self, held: Held) -> None:
        """The broker has answered the PUBLISH. That frees the window and promises nothing: only a receipt does."""
        if held.on_the_wire:
            held.on_the_wire = False
            self._on_the_wire -= 1

    def unlinked(self) -> None:
        """The connection is gone, and with it every answer that was under way."""
        for held in self.held:
            held.on_the_wire = False
        self._on_the_wire = 0

    def relinked(self) -> None:
        """Connected again: everything without a receipt is to be sent, oldest first."""
        self.unlinked()
        for held in self.held:
            held.queued = True
        self._queue = list(self.held)

    def remind(self, now_s: float) -> None:
        """Queue what was sent too long ago. Worth calling once `next_resend_s` has come."""
        if now_s < self.next_resend_s:
            return
        self._send_again([held for held in self.held if held.resend_s <= now_s])
        self.next_resend_s = min((held.resend_s for held in self.held if not held.queued), default=math.inf)
        # What is still on the wire is the broker's to answer; look again in a while.
        self.next_resend_s = max(self.next_resend_s, now_s + 1)

    def receipt(self, boot: int, through: int, now_s: float) -> Covered:
        """Forget what the receipt covers; send again, or give up, what it leaves out."""
        position = boot << SEQ_BITS | through
        receipted: list[Held] = []
        if position < self.through:
            return Covered(receipted, [])
        self.through = position
        while self.held and self.held[0].last <= position:
            receipted.append(self._let_go())
        if receipted:
            lag_s = now_s - receipted[-1].sent_s
            # Where something was sent again, the receipt waited for that and says nothing of the way (as in TCP: Karn
            # and Partridge, 1987).
            again = any(held.tries > 1 for held in receipted)
            self._lag_s = min(lag_s, self._lag_s) if again else lag_s
            self._longest_lag_s = now_s - receipted[-1].first_sent_s
        given_up = self._count_left_out(now_s)
        self._fill_hole(now_s)
        return Covered(receipted, given_up)

    def _late_at(self, held: Held) -> float:
        """From when on a receipt that leaves out what was sent means it."""
        return held.sent_s + max(IN_FLIGHT_S, 2 * self._lag_s)

    def _count_left_out(self, now_s: float) -> list[Held]:
        """Only the first message held can be what stops the receipts; a count needs a sending since the last one.

        To send again too early costs little, to give up what is still on its way costs a reading: here the way is taken
        to be twice as long as it may have been, from when it was sent first.
        """
        first = self.held[0] if self.held else None
        if first is None or not first.tries or now_s < self._late_at(first):
            return []
        if now_s < first.first_sent_s + 2 * self._longest_lag_s:
            return []
        if first.sent_s <= first.counted_s or now_s - first.counted_s < LEFT_OUT_EVERY_S:
            return []
        first.left_out += 1
        first.counted_s = now_s
        return [self._let_go()] if first.left_out >= LEFT_OUT_AT_MOST else []

    def _fill_hole(self, now_s: float) -> None:
        """A receipt ends below something that was sent, and more was sent above it."""
        if len(self.held) > 1 and self.held[1].tries:
            first = [self.held[at] for at in range(min(AGAIN_A_RECEIPT, len(self.held)))]
            self._send_again([held for held in first if held.tries and self._late_at(held) <= now_s])

    def _send_again(self, those: list[Held]) -> None:
        fresh = [held for held in those if not held.queued and not held.on_the_wire]
        for held in fresh:
            held.queued = True
        self._queue[:0] = fresh

    def _let_go(self) -> Held:
        held = self.held.pop(0)
        self.items -= held.message.items
        held.gone = True
        if held.on_the_wire:
            held.on_the_wire = False
            self._on_the_wire -= 1
        return held
