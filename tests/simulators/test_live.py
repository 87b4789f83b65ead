"""Each pump is served when its reading is due and not before, however the fleet is cut, fast or slow."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest

from simulators.blocks import Block, Shard, blocks_of
from simulators.faults import Fault, Kind, Timeline
from simulators.fleet import fleet_of
from simulators.live import Live, Pace
from simulators.publish import clock_ms
from simulators.simulation import Chunk, Message
from simulators.wire import Encoding

START_MS = 1_795_290_526_000
TIMELINE = Timeline(START_MS, 60_000, 0, 60_000, 600.0)


def blocks(pumps: int, a_block: int, faults: Sequence[Fault] = ()) -> list[Block]:
    fleet = fleet_of(7, pumps)
    encodings = [Encoding.JSON, Encoding.MSGPACK]
    return blocks_of(7, fleet, list(faults), TIMELINE, boot=5, encodings=encodings, pumps_a_block=a_block)


async def lived(made: list[Block], live_s: float, respaced: int | None = None) -> list[tuple[int, Message]]:
    told: list[tuple[int, Message]] = []

    def send(block: Block, chunk: Chunk, pumps: Sequence[int], at_ms: int) -> None:
        told.extend((at_ms, message) for message in block.messages(chunk, pumps))

    async def room() -> None:
        return

    live = Live(Pace(START_MS, clock_ms(), 1e6), send, 60_000, asyncio.Event())
    live.begin(made)
    await live.run(START_MS + round(live_s * 500), room, lambda _at_ms: None)
    if respaced:
        live.respace(respaced)
    await live.run(START_MS + round(live_s * 1000), room, lambda _at_ms: None)
    return told


def by_pump(told: Sequence[tuple[int, Message]]) -> dict[int, list[tuple[int, bytes]]]:
    found: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for _, message in told:
        found[message.pump].append((message.seq, message.body))
    return found


@pytest.mark.parametrize("a_block", [1, 7, 16])
async def test_the_same_is_told_however_the_fleet_is_cut(a_block: int) -> None:
    faults = [Fault(9, Kind.STALL, START_MS + 120_000)]
    whole = by_pump(await lived(blocks(40, 40, faults), 600))

    assert by_pump(await lived(blocks(40, a_block, faults), 600)) == whole
    assert len(whole) == 40
    assert all(len(messages) >= 10 for messages in whole.values())


async def test_nobody_is_served_early_and_pumps_are_spread_over_the_interval() -> None:
    told = await lived(blocks(60, 25), 300)

    assert [at_ms for at_ms, _ in told] == sorted(at_ms for at_ms, _ in told)
    assert all(message.stamp_ms <= at_ms for at_ms, message in told)
    assert all(at_ms - message.stamp_ms <= 61_000 for at_ms, message in told)
    seconds = {at_ms // 5000 for at_ms, _ in told}
    assert len(seconds) > 50


async def test_pumps_that_report_more_often_from_some_moment_on_stay_in_order() -> None:
    told = by_pump(await lived(blocks(30, 10), 600, respaced=12_000))
    usual = by_pump(await lived(blocks(30, 10), 600))

    for pump, messages in told.items():
        assert [seq for seq, _ in messages] == list(range(len(messages)))
        assert len(messages) >= 2 * len(usual[pump])


def test_shards_are_the_fleet_and_no_pump_is_in_two() -> None:
    for processes in (1, 2, 3, 7):
        shares = [Shard(number, processes).share_of(100) for number in range(1, processes + 1)]
        assert sorted(pump for share in shares for pump in share) == list(range(100))


def test_a_time_stamp_is_never_ahead_of_our_clock() -> None:
    assert Pace(1000, 5000, 10.0).wall_ms(101_000) == 101_000
    assert Pace(1000, 500_000, 10.0).wall_ms(101_000) == 510_000
    assert Pace(1000, 5000, 0.0).wall_ms(2000) == 2000
