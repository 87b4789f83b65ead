"""A pump gives up a message that no service takes, and none that a service has only not come to."""

import pytest

from simulators.memory import LEFT_OUT_AT_MOST, SEQ_BITS
from tests.simulators.pump_world import BOOT, World


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


@pytest.mark.parametrize("outage_s", [120, 900])
@pytest.mark.parametrize("relinked", [False, True])
def test_it_is_given_up_after_an_outage_too(outage_s: int, relinked: bool) -> None:  # noqa: FBT001 - a case
    """What the outage held up was covered late, so that the way seems long."""
    world = World()
    for _ in range(5):
        world.measure()
    world.send()
    bad = 3
    for _ in range(bad):
        world.deliver(1)
    world.lose(1)
    world.wait(outage_s)
    if relinked:
        world.unlink()
        world.relink()
    for second in range(outage_s + 300):
        if second % 10 == 0:
            world.measure()
        world.send()
        while world.broker:
            (world.lose if world.broker[0][0].message.seq == bad else world.deliver)(1)
        if second % 10 == 9:
            world.receipt()
        world.wait(1.0)

    assert [held.message.seq for held in world.let_go] == [bad]
    world.settle_down()
    assert not world.memory.held


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
