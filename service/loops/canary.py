"""Does a fault that we make up arrive? Again and again: sent as a pump sends it, and waited for at our own endpoint."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from service.core import canary
from service.logs import tell
from service.metrics import Metrics
from service.ports import Clock, StoreUnavailableError

LOOK_EVERY_S: Final = 0.25
AGAIN_S: Final = 5.0
STARTS_WITHIN_S: Final = 60.0
AFTER_LOSS_S: Final = 20.0
"""A canary that was lost is tried again sooner, so that it is known when the way holds again."""


class Rounds(Protocol):
    """What is kept of the canary. Raises StoreUnavailableError."""

    async def take(self) -> int | None:
        """The boot in which this process speaks for the pump; None while another does."""

    async def begin(self, at: datetime) -> int:
        """Write a round down, before it is sent."""

    async def took(self, number: int) -> timedelta | None:
        """What the fault has taken to arrive; None: it has not."""

    async def close_alert(self, now: datetime) -> bool:
        """Reset the alert once its condition is over; False while it is not."""

    async def over(self, number: int, now: datetime) -> None: ...
    async def close(self) -> None: ...


class Voice(Protocol):
    def publish(self, topic: str, payload: bytes) -> None: ...


class Canary:
    def __init__(
        self, rounds: Rounds, voice: Voice, clock: Clock, metrics: Metrics, *, every: timedelta, within: timedelta
    ) -> None:
        self._rounds, self._voice, self._clock, self._metrics = rounds, voice, clock, metrics
        self._every, self._within = every, within
        self._boot: int | None = None
        self._seq = 0

    async def run(self, stop: asyncio.Event, all_well: asyncio.Event) -> None:
        """Until `stop`; from when all has been well for the first time, or could have been."""
        waited_s = 0.0
        while not (stop.is_set() or all_well.is_set() or waited_s >= STARTS_WITHIN_S):
            await _pause(stop, LOOK_EVERY_S)
            waited_s += LOOK_EVERY_S
        while not stop.is_set():
            pause_s = await self._turn(stop)
            await _pause(stop, pause_s)
        await self._rounds.close()

    async def _turn(self, stop: asyncio.Event) -> float:
        """One round; how long to wait after it."""
        began_at = self._clock()
        try:
            if self._boot is None:
                self._boot, self._seq = await self._rounds.take(), 0
            if self._boot is None:
                return AGAIN_S
            arrived = await self._round(stop)
        except StoreUnavailableError as error:
            if self._boot is not None:
                tell("canary_interrupted", logging.WARNING, reason=error)
            self._boot = None
            return AGAIN_S
        rest_s = (self._every - (self._clock() - began_at)).total_seconds()
        return max(rest_s if arrived else min(rest_s, AFTER_LOSS_S), 0.0)

    async def _round(self, stop: asyncio.Event) -> bool:
        now = self._clock()
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as exact as a pump's clock
        number = await self._rounds.begin(at)
        self._send(canary.TELEMETRY, canary.reading, at)
        self._send(canary.EVENT, canary.fault, at)
        arrived = await self._until(lambda: self._arrived(number), stop)
        if stop.is_set():
            return arrived
        self._metrics.canary_rounds.labels(outcome="arrived" if arrived else "lost").inc()
        if arrived:
            took = await self._rounds.took(number) or timedelta(0)
            self._metrics.canary_seconds.set(took.total_seconds())
        else:
            tell("canary_lost", logging.ERROR, round=number, begun_at=at)
        self._send(canary.EVENT, canary.mended, self._clock())
        if await self._until(lambda: self._rounds.close_alert(self._clock()), stop):
            await self._rounds.over(number, self._clock())
        return arrived

    async def _arrived(self, number: int) -> bool:
        return await self._rounds.took(number) is not None

    async def _until(self, holds: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> bool:
        """Whether it came true in time."""
        deadline = self._clock() + self._within
        while not stop.is_set():
            if await holds():
                return True
            if self._clock() >= deadline:
                return False
            await _pause(stop, LOOK_EVERY_S)
        return False

    def _send(self, topic: str, make: Callable[[int, int, int], bytes], at: datetime) -> None:
        self._voice.publish(topic, make(self._boot or 0, self._seq, round(at.timestamp() * 1000)))
        self._seq += 1


async def _pause(stop: asyncio.Event, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await stop.wait()
    except TimeoutError:
        return
