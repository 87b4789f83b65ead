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
    Memory,
)
from simulators.simulation import Message
from tests.simulators.pump_world import BOOT, World

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
