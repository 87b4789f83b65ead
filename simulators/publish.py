"""How does the fleet get its readings to the service? Memories of many pumps over a few connections, and receipts."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from simulators import wire
from simulators.journal import Journal, Latencies, Tally
from simulators.link import Broker, Link
from simulators.memory import Held, Memory
from simulators.simulation import Message

REMIND_EVERY_S = 0.5
ENOUGH_UNSENT = 2000  # messages; more are not measured ahead of sending
RATE_SLICE_S = 0.005
AT_A_TURN = 8  # messages of one pump before the next one has its turn


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


class _Lane:
    """One connection, and the pumps that share it: those that wait for their turn, and those to be announced."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pumps: list[int] = []
        self.waiting: deque[int] = deque()
        self.statuses: deque[tuple[int, bool]] = deque()
        self.link: Link


class Publisher:
    """Holds what pumps measure until its receipt, and sends it as often as that takes."""

    def __init__(
        self,
        pump_ids: Sequence[str],
        broker: Broker,
        journal: Journal,
        *,
        connections: int = 4,
        memory_items: int = 20000,
        max_rate: float = 0.0,
        seed: int = 0,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        jitter = random.Random(seed).random
        self.tally = Tally()
        self.settle_latencies = Latencies()
        self.receipt_latencies = Latencies()
        self._pump_ids = list(pump_ids)
        self._numbers = {pump_id.encode(): number for number, pump_id in enumerate(pump_ids)}
        self._topics = [
            (wire.telemetry_topic(pump_id).encode(), wire.event_topic(pump_id).encode()) for pump_id in pump_ids
        ]
        self._memories = [Memory(memory_items, jitter) for _ in pump_ids]
        self._unlinked: set[int] = set()
        self._in_line = bytearray(len(self._pump_ids))  # 1: waits for its turn
        self._journal = journal
        self._say = say
        self._broker = broker
        self._max_rate = max_rate
        self._allowance = 0.0
        self._allowed_s = time.monotonic()
        self._woken = False
        self._later: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._moved = asyncio.Event()  # something was sent, or a receipt came
        self._lanes = [_Lane(number) for number in range(max(1, min(connections, len(self._pump_ids))))]
        for pump in range(len(self._pump_ids)):
            self._lane_of(pump).pumps.append(pump)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        name = f"pumpsim-{random.getrandbits(48):012x}"
        for lane in self._lanes:
            lane.link = Link(
                self._broker,
                f"{name}-{lane.number}",
                on_up=partial(self._up, lane),
                on_down=partial(self._down, lane),
            )
        receipts = Link(
            self._broker,
            f"{name}-receipts",
            subscription=wire.RECEIPT_TOPICS,
            on_up=lambda: None,
            on_down=lambda _why: None,
            on_message=self._receipt,
        )
        runs = [receipts.run(), *(lane.link.run() for lane in self._lanes), self._remind()]
        self._tasks = [asyncio.create_task(run) for run in runs]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_linked(self) -> bool:
        """Whether every connection is up."""
        return all(lane.link.is_up for lane in self._lanes)

    def hold(self, message: Message) -> None:
        """Take over what a pump has measured."""
        pump_id = self._pump_ids[message.pump]
        at_ms = clock_ms()
        self._journal.measured(at_ms, pump_id, message)
        self.tally.messages += 1
        if message.is_event:
            self.tally.measured_events += 1
        else:
            self.tally.measured_readings += message.items
        self._unsent += 1
        for held in self._memories[message.pump].hold(message):
            self.tally.overwritten_items += held.message.items
            self._unsent -= held.tries == 0
            self._journal.let_go("overwritten", at_ms, pump_id, held)
        self._line_up(message.pump)

    def unlink(self, pump: int) -> None:
        """The pump is out of reach: it goes on measuring and holding."""
        self._unlinked.add(pump)

    def relink(self, pump: int) -> None:
        self._unlinked.discard(pump)
        self._memories[pump].relinked()
        self._line_up(pump)

    async def room(self) -> None:
        """Wait until the pumps have caught up with what they measured."""
        while self._unsent > ENOUGH_UNSENT:
            await self._change()

    async def drained(self, within_s: float) -> bool:
        """Wait until every reading of a pump within reach has its receipt; False if that takes longer."""
        deadline_s = time.monotonic() + within_s
        while self.held_items(linked_only=True) and time.monotonic() < deadline_s:
            await self._change()
        return not self.held_items(linked_only=True)

    async def say_goodbye(self, within_s: float) -> None:
        """Publish the retained status `offline` of every pump, and wait for the broker's answers."""
        for lane in self._lanes:
            lane.statuses.extend((pump, False) for pump in lane.pumps)
        self._wake()
        deadline_s = time.monotonic() + within_s
        while any(lane.statuses or lane.link.unsettled for lane in self._lanes) and time.monotonic() < deadline_s:
            await self._change()

    def held_items(self, *, linked_only: bool = False) -> int:
        return sum(
            memory.items for pump, memory in enumerate(self._memories) if not (linked_only and pump in self._unlinked)
        )

    def _lane_of(self, pump: int) -> _Lane:
        return self._lanes[pump % len(self._lanes)]

    async def _change(self) -> None:
        self._moved.clear()
        try:
            async with asyncio.timeout(REMIND_EVERY_S):
                await self._moved.wait()
        except TimeoutError:
            return

    def _line_up(self, pump: int) -> None:
        if not self._in_line[pump] and pump not in self._unlinked and self._memories[pump].wants_to_send:
            self._in_line[pump] = 1
            self._lane_of(pump).waiting.append(pump)
            self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _wake_later(self) -> None:
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(RATE_SLICE_S, self._flush)

    def _flush(self) -> None:
        """Send what may be sent, pump by pump in turn."""
        self._woken = False
        self._later = None
        now_s = time.monotonic()
        if self._max_rate:
            earned = (now_s - self._allowed_s) * self._max_rate
            self._allowance = min(self._allowance + earned, max(self._max_rate / 20, 1.0))
        self._allowed_s = now_s
        for lane in self._lanes:
            self._flush_lane(lane, now_s)
        self._moved.set()

    def _flush_lane(self, lane: _Lane, now_s: float) -> None:
        while lane.statuses and lane.link.room:
            pump, online = lane.statuses.popleft()
            topic = wire.status_topic(self._pump_ids[pump]).encode()
            lane.link.publish(topic, wire.status(online=online), self._moved.set, retain=True)
        while lane.waiting and (room := lane.link.room):
            if self._max_rate:
                room = min(room, int(self._allowance))
                if room == 0:
                    self._wake_later()
                    return
            pump = lane.waiting.popleft()
            self._in_line[pump] = 0
            memory = self._memories[pump]
            taken = memory.take(now_s, min(room, AT_A_TURN))
            for held in taken:
                self._send(lane, pump, memory, held, now_s)
            self._allowance -= len(taken)
            self._line_up(pump)

    def _send(self, lane: _Lane, pump: int, memory: Memory, held: Held, now_s: float) -> None:
        self.tally.sent += 1
        if held.tries == 1:
            self._unsent -= 1
        else:
            self.tally.resent += 1
        message = held.message
        held_from = memory.held_from or (message.boot, message.seq)
        payload = wire.close(message.body, held_from)
        settled = partial(self._settled, pump, held, now_s)
        lane.link.publish(self._topics[pump][message.is_event], payload, settled)

    def _settled(self, pump: int, held: Held, sent_s: float) -> None:
        self.tally.settled += 1
        self.settle_latencies.add(time.monotonic() - sent_s)
        self._memories[pump].settled(held)
        self._line_up(pump)
        if self._lane_of(pump).waiting:
            self._wake()

    def _receipt(self, topic: bytes, payload: bytes) -> None:
        pump = self._numbers.get(topic.removeprefix(wire.RECEIPT_PREFIX.encode()))
        receipt = wire.decode_receipt(payload)
        if pump is None or receipt is None:
            return
        now_s = time.monotonic()
        at_ms = clock_ms()
        pump_id = self._pump_ids[pump]
        self.tally.receipts += 1
        self._journal.receipt(at_ms, pump_id, receipt)
        covered = self._memories[pump].receipt(receipt.boot, receipt.through, now_s)
        for held in covered.receipted:
            self.tally.receipted_items += held.message.items
            self._unsent -= held.tries == 0
            self.receipt_latencies.add(min(now_s - held.sent_s, now_s))
        for held in covered.given_up:
            self.tally.given_up_items += held.message.items
            self._journal.let_go("given_up", at_ms, pump_id, held)
        self._line_up(pump)
        self._moved.set()

    def _up(self, lane: _Lane) -> None:
        self._journal.link("up", clock_ms(), lane.number)
        lane.statuses.extend((pump, True) for pump in lane.pumps)
        for pump in lane.pumps:
            self._memories[pump].relinked()
            self._line_up(pump)
        self._wake()

    def _down(self, lane: _Lane, why: str) -> None:
        self.tally.disconnects += 1
        self._journal.link("down", clock_ms(), lane.number)
        lane.statuses.clear()
        for pump in lane.pumps:
            self._memories[pump].unlinked()
        if lane.number == 0:  # the others share its fate: said once
            self._say(f"{self._broker}: {why}; trying again")

    async def _remind(self) -> None:
        while True:
            await asyncio.sleep(REMIND_EVERY_S)
            now_s = time.monotonic()
            self._journal.flush()
            for pump, memory in enumerate(self._memories):
                if memory.next_resend_s <= now_s:
                    memory.remind(now_s)
                    self._line_up(pump)
