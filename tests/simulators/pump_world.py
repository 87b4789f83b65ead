"""One pump, what lies between it and its service, and time that is simulated: for the tests of its memory."""

from collections import deque

from simulators.memory import MAX_ON_THE_WIRE, SEQ_BITS, Held, Memory
from simulators.simulation import Message

BOOT = 3


class World:
    """One pump, a broker that delivers in order and may lose, and a service that keeps a ledger. Time is simulated."""

    def __init__(self, capacity_items: int = 10_000) -> None:
        self.memory = Memory(capacity_items, lambda: 0.5)
        self.now_s = 1000.0
        self.next_seq = 0
        self.linked = True
        self.broker: deque[tuple[Held, int]] = deque()  # what was sent, with its held_from
        self.sent: list[Held] = []
        self.lost: dict[int, int] = {}  # by first position: how often
        self.stored: set[int] = set()
        self.held_from = BOOT << SEQ_BITS
        self.through = (BOOT << SEQ_BITS) - 1
        self.let_go: list[Held] = []
        self.receipted = self.through

    def measure(self, items: int = 1) -> None:
        message = Message(0, False, BOOT, self.next_seq, items, 0, b"")  # noqa: FBT003
        self.next_seq += items
        self.let_go += self.memory.hold(message)

    def send(self, at_most: int = 1000) -> None:
        if not self.linked:
            return
        for held in self.memory.take(self.now_s, at_most):
            assert held not in [other for other, _ in self.broker if other.on_the_wire and other is not held]
            boot, seq = self.memory.held_from or (BOOT, 0)
            assert (boot << SEQ_BITS | seq) <= held.first
            self.sent.append(held)
            self.broker.append((held, boot << SEQ_BITS | seq))

    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.broker))):
            held, held_from = self.broker.popleft()
            self.memory.settled(held)
            self.stored.update(range(held.first, held.last + 1))
            self.held_from = max(self.held_from, held_from)
        while self.through + 1 in self.stored or self.through + 1 < self.held_from:
            self.through += 1

    def lose(self, count: int) -> None:
        for _ in range(min(count, len(self.broker))):
            held, _ = self.broker.popleft()
            self.memory.settled(held)
            self.lost[held.first] = self.lost.get(held.first, 0) + 1

    def receipt(self) -> None:
        if self.through >= BOOT << SEQ_BITS:
            self.receipted = self.through
            covered = self.memory.receipt(BOOT, self.through & ((1 << SEQ_BITS) - 1), self.now_s)
            self.let_go += covered.given_up

    def unlink(self) -> None:
        self.linked = False
        self.broker.clear()
        self.memory.unlinked()

    def relink(self) -> None:
        if not self.linked:
            self.linked = True
            self.memory.relinked()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        if self.memory.next_resend_s <= self.now_s:
            self.memory.remind(self.now_s)

    def check(self) -> None:
        """Every position measured is held, receipted or known to be let go; the window is kept."""
        first = BOOT << SEQ_BITS
        held = {position for each in self.memory.held for position in range(each.first, each.last + 1)}
        gone = {position for each in self.let_go for position in range(each.first, each.last + 1)}
        forgotten = set(range(first, first + self.next_seq)) - held - gone
        assert all(position <= self.receipted and position in self.stored for position in forgotten)
        assert sum(each.on_the_wire for each in self.memory.held) <= MAX_ON_THE_WIRE
        assert self.memory.items == len(held)

    def settle_down(self, seconds: int = 900) -> None:
        """A network and a service that work: a receipt every 10 s."""
        self.relink()
        for second in range(seconds):
            self.send()
            self.deliver(len(self.broker))
            if second % 10 == 0:
                self.receipt()
            self.wait(1.0)
            if not self.memory.held:
                return
