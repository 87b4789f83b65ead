"""Which pumps share a connection, and how many connections are up? One a pump, one a site, or a few for all."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, Protocol

from simulators import wire
from simulators.broker import Broker
from simulators.link import Link
from simulators.mqtt import Will
from simulators.wheel import Wheel

Connections = int | Literal["pump", "site"]

_FOR_RECEIPTS = -1  # the number of the connection that hears the receipts of pumps that share theirs


class Lane:
    """One connection, and the pumps that share it: those that wait for their turn, and those to be announced."""

    __slots__ = ("in_line", "link", "number", "pumps", "statuses", "waiting", "was_up")

    def __init__(self, number: int, pumps: Sequence[int]) -> None:
        self.number = number
        self.pumps = pumps
        self.waiting: deque[int] = deque()
        self.statuses: deque[tuple[int, bool]] = deque()
        self.in_line = False
        self.was_up = False
        self.link: Link


def lanes_of(connections: Connections, pump_ids: Sequence[str], sites: Sequence[str]) -> list[Lane]:
    """Put every pump on a connection; `sites` has the site of each pump, where that matters."""
    count = len(pump_ids)
    if connections == "pump":
        return [Lane(pump, (pump,)) for pump in range(count)]
    if connections == "site":
        by_site: dict[str, list[int]] = {}
        for pump, site in enumerate(sites):
            by_site.setdefault(site, []).append(pump)
        return [Lane(number, pumps) for number, pumps in enumerate(by_site.values())]
    shared = max(1, min(connections, count))
    return [Lane(number, range(number, count, shared)) for number in range(shared)]


def by_pump(lanes: Iterable[Lane]) -> list[Lane]:
    """The connection of each pump, in the order of pumps."""
    found = {pump: lane for lane in lanes for pump in lane.pumps}
    return [found[pump] for pump in range(len(found))]


def sockets_needed(connections: Connections, pumps: int, sites: int) -> int:
    """How many connections a fleet of that size opens."""
    if connections == "pump":
        return pumps
    return (sites if connections == "site" else max(1, min(connections, pumps))) + 1


class Listener(Protocol):
    """Who is told what happens on the connections."""

    def lane_up(self, lane: Lane) -> None: ...
    def lane_down(self, lane: Lane, *, was_up: bool) -> None: ...
    def settled(self, lane: Lane, token: Any) -> None: ...
    def receipt(self, topic: bytes, payload: bytes) -> None: ...


class Uplinks:
    """The connections of a fleet. A pump with one of its `own` has a last will, and hears its own receipts only."""

    def __init__(
        self,
        broker: Broker,
        lanes: Sequence[Lane],
        pump_ids: Sequence[str],
        listener: Listener,
        *,
        own: bool,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.up_count = 0  # of the lanes
        self.started = 0
        self._broker = broker
        self._lanes = lanes
        self._listener = listener
        self._say = say
        self._down: set[int] = set()
        self._said = False
        self._wheel: Wheel[Link] = Wheel(time.monotonic())
        self._running: list[Link] = []
        run = f"pumpsim-{random.getrandbits(48):012x}"
        for lane in lanes:
            if own:
                pump_id = pump_ids[lane.pumps[0]]
                will = Will(wire.status_topic(pump_id).encode(), wire.status(online=False))
                receipts = wire.RECEIPT_PREFIX + pump_id
                # A name that can be guessed can be taken, where a broker does not tie names to certificates.
                certificates = broker.certificates
                name = f"pump-{pump_id}" if certificates is None else f"pump-{pump_id}-{random.getrandbits(64):016x}"
                tls = None if certificates is None else partial(certificates.context_of, pump_id)
                lane.link = Link(
                    lane.number, broker, name, self, self._wheel, subscription=receipts, will=will, tls=tls
                )
            else:
                lane.link = Link(lane.number, broker, f"{run}-{lane.number}", self, self._wheel)
        self._receipts = (
            None
            if own
            else Link(_FOR_RECEIPTS, broker, f"{run}-receipts", self, self._wheel, subscription=wire.RECEIPT_TOPICS)
        )

    def start(self, lanes: Iterable[Lane], a_second: float = 0.0) -> None:
        """Connect; so many a second, or all at once."""
        if self._receipts is not None and self._receipts not in self._running:
            self._running.append(self._receipts)
            self._receipts.start()
        for number, lane in enumerate(lanes):
            lane.link.start(number / a_second if a_second else 0.0)
            self._running.append(lane.link)
            self.started += 1

    def stop(self) -> None:
        for link in self._running:
            link.stop()

    def drop(self) -> int:
        """Lose every connection at once, without a word; return how many were up."""
        lost = self.up_count
        for lane in self._lanes:
            lane.link.drop()
        return lost

    def turn(self, now_s: float) -> None:
        """Let what is due happen: dialling, keepalives, and giving up waiting."""
        for due_s, link in self._wheel.due(now_s):
            link.turn(due_s, now_s)

    # What a connection tells: see link.Watcher.

    def up(self, link: Link) -> None:
        self._down.discard(link.number)
        if link.number != _FOR_RECEIPTS:
            lane = self._lanes[link.number]
            lane.was_up = True
            self.up_count += 1
            self._listener.lane_up(lane)
        if self._said and not self._down:
            self._said = False
            self._say(f"{self._broker}: connected again")

    def down(self, link: Link, why: str) -> None:
        self._down.add(link.number)
        if link.number != _FOR_RECEIPTS:
            lane = self._lanes[link.number]
            self.up_count -= lane.was_up
            self._listener.lane_down(lane, was_up=lane.was_up)
            lane.was_up = False
        if not self._said:  # the others share its fate: said once
            self._said = True
            self._say(f"{self._broker}: {why}; trying again")

    def settled(self, link: Link, token: Any) -> None:
        self._listener.settled(self._lanes[link.number], token)

    def heard(self, _link: Link, topic: bytes, payload: bytes) -> None:
        self._listener.receipt(topic, payload)
