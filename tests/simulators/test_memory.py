"""A pump forgets a reading only when it holds its receipt, and sends it as often as that takes."""

import itertools
import math
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.memory import (
    LEFT_OUT_AT_MOST,
    MAX_ON_THE_WIRE,
    RESEND_AFTER_S,
    SEQ_BITS,
    Held,
    Memory,
)
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


ACTIONS = st.one_of(
    st.tuples(st.just("measure"), st.integers(1, 60)),
    st.tuples(st.sampled_from(["send", "deliver", "lose"]), st.integers(1, 40)),
    st.tuples(st.sampled_from(["receipt", "unlink", "relink"])),
    st.tuples(st.just("wait"), st.floats(0.01, 60.0)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=80))
def test_nothing_is_forgotten_without_a_receipt_and_in_the_end_everything_is_stored(actions: list[Any]) -> None:
    world = World()
    for name, *arguments in actions:
        getattr(world, name)(*arguments)
        world.check()

    world.measure()
    world.settle_down()

    world.check()
    assert not world.memory.held
    missing = set(range(BOOT << SEQ_BITS, (BOOT << SEQ_BITS) + world.next_seq)) - world.stored
    given_up = {position for each in world.let_go for position in range(each.first, each.last + 1)}
    assert missing <= given_up
    assert all(world.lost[each.first] >= LEFT_OUT_AT_MOST for each in world.let_go)


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=60))
def test_a_full_memory_lets_the_oldest_go_and_says_so_in_held_from(actions: list[Any]) -> None:
    world = World(capacity_items=100)
    for name, *arguments in actions:
        getattr(world, name)(*arguments)
        world.check()
        assert world.memory.items <= 100

    world.measure()
    world.settle_down()

    assert not world.memory.held
    assert world.through == (BOOT << SEQ_BITS) + world.next_seq - 1


def test_a_message_without_receipt_is_sent_again_after_thirty_seconds_and_then_more_patiently() -> None:
    world = World()
    world.measure()
    sent_at = []
    for _ in range(400):
        before = len(world.sent)
        world.send()
        world.lose(1)
        sent_at += [world.now_s] * (len(world.sent) - before)
        world.wait(1.0)

    gaps = [later - earlier for earlier, later in itertools.pairwise(sent_at)]
    assert RESEND_AFTER_S <= gaps[0] <= 1.25 * RESEND_AFTER_S + 1
    assert gaps == sorted(gaps)
    assert len(gaps) >= 3


def test_a_receipt_that_ends_at_a_hole_has_the_missing_sent_again_and_little_else() -> None:
    world = World()
    for _ in range(20):
        world.measure()
    world.send()
    world.deliver(5)
    world.lose(1)
    world.deliver(14)
    world.wait(1.0)
    world.receipt()
    world.send()
    assert len(world.sent) == 20  # it may still be on its way
    world.wait(3.0)
    world.receipt()

    world.send()

    assert [held.message.seq for held in world.sent[20:]] == [5, 6, 7, 8]
    world.deliver(4)
    world.receipt()
    assert not world.memory.held


def test_what_is_still_on_its_way_is_not_taken_for_lost_although_receipts_are_rare() -> None:
    world = World()
    for second in range(200):
        world.measure()
        world.measure()
        world.send()
        world.deliver(len(world.broker) - 3)
        if second % 10 == 9:
            world.receipt()
        world.wait(1.0)

    assert len(world.sent) == 400


@pytest.mark.parametrize("lag_s", [5, 12, 25])
def test_a_slow_service_is_not_sent_everything_twice(lag_s: int) -> None:
    """What was sent waits `lag_s` in the broker; receipts come every second, each far behind."""
    world = World()
    arrivals: deque[float] = deque()
    for _ in range(120):
        for _ in range(10):
            world.measure()
        before = len(world.sent)
        world.send()
        for held in world.sent[before:]:
            world.memory.settled(held)  # the broker answers at once
        arrivals += [world.now_s + lag_s] * (len(world.sent) - before)
        while arrivals and arrivals[0] <= world.now_s:
            arrivals.popleft()
            world.deliver(1)
        world.receipt()
        world.wait(1.0)

    assert len(world.sent) == 1200
    assert not world.let_go


def test_what_a_service_far_behind_has_not_come_to_is_not_given_up() -> None:
    """It has everything twice to go through before what is new, and says the same receipt meanwhile."""
    world = World()

    def send() -> None:
        before = len(world.sent)
        while world.memory.wants_to_send:
            world.send()
            for held in world.sent[before:]:
                world.memory.settled(held)  # the broker answers at once

    for _ in range(300):
        world.measure()
    send()
    for second in range(600):
        if second == 20:
            world.memory.relinked()
        if second < 60:
            world.measure()
        send()
        world.deliver(3)
        if second % 10 == 9:
            world.receipt()
        world.wait(1.0)

    assert not world.let_go
    assert not world.memory.held


def test_after_a_reconnect_everything_without_receipt_is_sent_oldest_first() -> None:
    world = World()
    for _ in range(10):
        world.measure()
    world.send()
    world.deliver(3)
    world.receipt()
    world.unlink()
    world.measure()
    world.relink()

    world.send()

    assert [held.message.seq for held in world.sent[10:]] == [3, 4, 5, 6, 7, 8, 9, 10]


def test_a_message_that_no_service_can_read_is_given_up_after_five_receipts_and_blocks_nothing() -> None:
    world = World()
    bad, receipts = 7, 0
    while not world.let_go and receipts < 30:
        for _ in range(10):
            world.measure()
            world.send()
            while world.broker:
                (world.lose if world.broker[0][0].message.seq == bad else world.deliver)(1)
            world.wait(1.0)
        world.receipt()
        receipts += 1

    assert [held.message.seq for held in world.let_go] == [bad]
    assert world.lost[(BOOT << SEQ_BITS) + bad] >= LEFT_OUT_AT_MOST
    assert receipts <= 2 * LEFT_OUT_AT_MOST
    world.measure()  # what comes next carries the new held_from
    world.settle_down()
    assert not world.memory.held
    assert world.through == (BOOT << SEQ_BITS) + world.next_seq - 1


def test_at_most_thirty_two_messages_are_with_the_broker_unanswered() -> None:
    world = World()
    for _ in range(100):
        world.measure()

    world.send()
    assert len(world.sent) == MAX_ON_THE_WIRE
    world.deliver(10)
    world.send()
    assert len(world.sent) == MAX_ON_THE_WIRE + 10


def test_a_receipt_of_a_later_boot_covers_every_earlier_one() -> None:
    memory = Memory(100, lambda: 0.0)
    for boot in (1, 2):
        memory.hold(Message(0, False, boot, 0, 10, 0, b""))  # noqa: FBT003
    memory.take(0.0, 10)

    memory.receipt(2, 4, 1.0)
    assert memory.held_from == (2, 0)
    memory.receipt(2, 9, 2.0)
    assert memory.held_from is None
    memory.receipt(1, 9, 3.0)
    assert memory.next_resend_s < math.inf
