"""How does the fleet get its readings to the service? Memories of many pumps over many connections, and receipts."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from simulators import wire
from simulators.allowance import Allowance
from simulators.broker import Broker
from simulators.journal import Journal, Latencies, Tally
from simulators.lanes import Connections, Lane, Uplinks, by_pump, lanes_of
from simulators.memory import Held, Memory
from simulators.simulation import Message
from simulators.wheel import TICK_S, Wheel

ENOUGH_UNSENT: Final = 2000  # messages; more are not measured ahead of sending
RATE_SLICE_S: Final = 0.005
LOOK_AGAIN_S: Final = 0.5
FLUSH_JOURNAL_S: Final = 0.5
AT_A_TURN: Final = 8  # messages of one pump before the next one has its turn

RECEIPT_PREFIX: Final = wire.RECEIPT_PREFIX.encode()

Status = tuple[int, bool]  # pump, online: the token of a status that waits for the broker's answer


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Publisher:
    """Holds what pumps measure until its receipt, and sends it as often as that takes."""

    def __init__(
        self,
        pump_ids: Sequence[str],
        broker: Broker,
        journal: Journal,
        *,
        connections: Connections = 4,
        sites: Sequence[str] = (),
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
        self._memories = [Memory(memory_items, jitter) for _ in pump_ids]
        self._unlinked: set[int] = set()
        self._in_line = bytearray(len(self._pump_ids))  # 1: waits for its turn
        self._journal = journal
        self._allowance = Allowance(max_rate, time.monotonic())
        self._woken = False
        self._later: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._held_items = 0
        self._moved = asyncio.Event()  # something was sent, or a receipt came
        self._lanes = lanes_of(connections, self._pump_ids, sites)
        self._lane_of = by_pump(self._lanes)
        self._busy: deque[Lane] = deque()  # lanes with something to send
        self._reminders: Wheel[int] = Wheel(time.monotonic())
        self._postponed: Wheel[Held | Message] = Wheel(time.monotonic())
        self.uplinks = Uplinks(broker, self._lanes, self._pump_ids, self, own=connections == "pump", say=say)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, pumps: Iterable[int] | None = None, *, a_second: float = 0.0) -> None:
        """Connect, all or those of some pumps; the others when `connect` names them."""
        self._tasks = [asyncio.create_task(self._tick())]
        self.connect(range(len(self._pump_ids)) if pumps is None else pumps, a_second=a_second)

    def connect(self, pumps: Iterable[int], *, a_second: float = 0.0) -> None:
        """Let these pumps be connected from now on, so many connections a second; 0: all at once."""
        self.uplinks.start(list(dict.fromkeys(self._lane_of[pump] for pump in pumps)), a_second)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.uplinks.stop()

    @property
    def is_linked(self) -> bool:
        """Whether every connection is up."""
        return self.uplinks.up_count == self.uplinks.started

    def hold(self, message: Message, after_s: float = 0.0) -> None:
        """Take over what a pump has measured; it is sent now, or so much later."""
        pump = message.pump
        tally = self.tally
        tally.messages += 1
        if message.is_event:
            tally.measured_events += 1
        else:
            tally.measured_readings += message.items
        self._unsent += 1
        self._held_items += message.items
        if self._journal.is_open:
            self._journal.measured(clock_ms(), self._pump_ids[pump], message)
        memory = self._memories[pump]
        for held in memory.hold(message, queued=after_s <= 0):
            tally.overwritten_items += held.message.items
            self._held_items -= held.message.items
            self._unsent -= held.tries == 0
            self._journal.let_go("overwritten", clock_ms(), self._pump_ids[pump], held)
        if after_s > 0:
            self._postponed.at(time.monotonic() + after_s, memory.held[-1])
        self._line_up(pump)

    def repeat(self, message: Message, after_s: float) -> None:
        """Send a message once more, then, whatever became of it."""
        self._postponed.at(time.monotonic() + after_s, message)

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
        while (left := self.held_items(linked_only=True)) and time.monotonic() < deadline_s:
            await self._change()
        return not left

    async def say_goodbye(self, within_s: float) -> None:
        """Publish the retained status `offline` of every pump, and wait for the broker's answers."""
        for lane in self._lanes:
            if lane.link.is_up:
                lane.statuses.extend((pump, False) for pump in lane.pumps)
                self._line_up_lane(lane)
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            await asyncio.sleep(TICK_S)
            if not any(lane.statuses or lane.link.unsettled for lane in self._lanes):
                return

    def held_items(self, *, linked_only: bool = False) -> int:
        unreachable = sum(self._memories[pump].items for pump in self._unlinked) if linked_only else 0
        return self._held_items - unreachable

    # What the connections tell: see lanes.Listener.

    def lane_up(self, lane: Lane) -> None:
        self.tally.connects += 1
        self._journal.link("up", clock_ms(), lane.number)
        lane.statuses.extend((pump, True) for pump in lane.pumps)
        for pump in lane.pumps:
            if self._memories[pump].held:
                self._memories[pump].relinked()
                self._line_up(pump)
        self._line_up_lane(lane)

    def lane_down(self, lane: Lane, *, was_up: bool) -> None:
        if was_up:
            self.tally.disconnects += 1
            self._journal.link("down", clock_ms(), lane.number)
        lane.statuses.clear()
        for pump in lane.pumps:
            self._memories[pump].unlinked()

    def settled(self, lane: Lane, token: Held | Message | Status) -> None:
        if isinstance(token, Held):
            self.tally.settled += 1
            self.settle_latencies.add(time.monotonic() - token.sent_s)
            pump = token.message.pump
            memory = self._memories[pump]
            memory.settled(token)
            if memory.wants_to_send:
                self._line_up(pump)
        if lane.waiting or lane.statuses:
            self._line_up_lane(lane)

    def receipt(self, topic: bytes, payload: bytes) -> None:
        pump = self._numbers.get(topic.removeprefix(RECEIPT_PREFIX))
        if pump is None:
            return
        receipt = wire.decode_receipt(payload)
        if receipt is None:
            return
        now_s = time.monotonic()
        tally = self.tally
        tally.receipts += 1
        if self._journal.is_open:
            self._journal.receipt(clock_ms(), self._pump_ids[pump], receipt)
        memory = self._memories[pump]
        covered = memory.receipt(receipt.boot, receipt.through, now_s)
        for held in covered.receipted:
            tally.receipted_items += held.message.items
            self._held_items -= held.message.items
            if held.tries:
                self.receipt_latencies.add(now_s - held.sent_s)
            else:
                self._unsent -= 1
        for held in covered.given_up:
            tally.given_up_items += held.message.items
            self._held_items -= held.message.items
            self._journal.let_go("given_up", clock_ms(), self._pump_ids[pump], held)
        if memory.wants_to_send:
            self._line_up(pump)
        self._moved.set()

    async def _change(self) -> None:
        self._moved.clear()
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self._moved.wait()
        except TimeoutError:
            return

    def _line_up(self, pump: int) -> None:
        if not self._in_line[pump] and pump not in self._unlinked and self._memories[pump].wants_to_send:
            self._in_line[pump] = 1
            lane = self._lane_of[pump]
            lane.waiting.append(pump)
            self._line_up_lane(lane)

    def _line_up_lane(self, lane: Lane) -> None:
        if not lane.in_line and lane.link.room:
            lane.in_line = True
            self._busy.append(lane)
            if not self._woken:
                self._woken = True
                asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Send what may be sent, connection by connection and pump by pump in turn."""
        self._woken = False
        now_s = time.monotonic()
        for _ in range(len(self._busy)):
            lane = self._busy.popleft()
            lane.in_line = False
            self._flush_lane(lane, now_s)
        self._moved.set()

    def _flush_lane(self, lane: Lane, now_s: float) -> None:
        link = lane.link
        while lane.statuses and link.room:
            pump, online = status = lane.statuses.popleft()
            topic = wire.status_topic(self._pump_ids[pump]).encode()
            link.publish(topic, wire.status(online=online), status, retain=True)
        while lane.waiting and (room := link.room):
            room = min(room, self._allowance.now(now_s))
            if room == 0:
                self._wake_later(lane)
                break
            pump = lane.waiting.popleft()
            self._in_line[pump] = 0
            memory = self._memories[pump]
            taken = memory.take(now_s, min(room, AT_A_TURN))
            for held in taken:
                self._send(lane, memory, held)
            self._allowance.spend(len(taken))
            if memory.wants_to_send:
                self._line_up(pump)
        link.flush()

    def _wake_later(self, lane: Lane) -> None:
        """Its turn comes when the rate allows more."""
        lane.in_line = True
        self._busy.append(lane)
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(RATE_SLICE_S, self._earned)

    def _earned(self) -> None:
        self._later = None
        self._flush()

    def _send(self, lane: Lane, memory: Memory, held: Held) -> None:
        message = held.message
        if held.tries == 1:
            self._unsent -= 1
        else:
            self.tally.resent += 1
        if held.resend_s <= memory.next_resend_s:
            self._reminders.at(held.resend_s, message.pump)
        self._publish(lane, memory, message, held)

    def _publish(self, lane: Lane, memory: Memory, message: Message, token: Held | Message) -> None:
        self.tally.sent += 1
        pump_id = self._pump_ids[message.pump]
        topic = wire.event_topic(pump_id) if message.is_event else wire.telemetry_topic(pump_id)
        held_from = memory.held_from or (message.boot, message.seq)
        lane.link.publish(topic.encode(), wire.close(message.body, held_from), token)

    def _send_at_last(self, later: Held | Message) -> None:
        if isinstance(later, Held):
            pump = later.message.pump
            self._memories[pump].release(later)
            self._line_up(pump)
        elif (lane := self._lane_of[later.pump]).link.room:
            self.tally.repeated += 1
            self._publish(lane, self._memories[later.pump], later, later)
            lane.link.flush()

    async def _tick(self) -> None:
        flushed_s = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            self.uplinks.turn(now_s)
            for _, pump in self._reminders.due(now_s):
                memory = self._memories[pump]
                if memory.next_resend_s <= now_s:
                    memory.remind(now_s)
                    self._line_up(pump)
                    if memory.next_resend_s < math.inf:
                        self._reminders.at(memory.next_resend_s, pump)
            for _, later in self._postponed.due(now_s):
                self._send_at_last(later)
            if now_s - flushed_s >= FLUSH_JOURNAL_S:
                flushed_s = now_s
                self._journal.flush()
