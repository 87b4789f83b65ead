"""What does the broker say of itself, and is that kept? Asked every few seconds, whoever the broker is."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from service.core.broker import Report
from service.core.change import Condition
from service.logs import tell
from service.metrics import Metrics
from service.ports import Clock, StoreUnavailableError

ASK_EVERY_S: Final = 5.0
UNANSWERED: Final = "unanswered"
"""Beside the conditions in `pumpwatch_broker_faults`: that it says nothing is a fault as well."""
_TOLD_BY: Final = (Condition.BROKER_DROPPING, Condition.BROKER_DEGRADED)

Ask = Callable[[], Awaitable[Sequence[Report]]]
Keep = Callable[[Sequence[Report], datetime], Awaitable[None]]


async def watch_broker(ask: Ask, keep: Keep, metrics: Metrics, clock: Clock, stop: asyncio.Event) -> None:
    """Until `stop`. `ask` raises OSError where a broker does not answer: that is told of where it is connected to."""
    answered = True
    while not stop.is_set():
        try:
            reports = await ask()
        except (OSError, ValueError) as error:
            if answered:
                tell("broker_says_nothing", logging.WARNING, reason=error or type(error).__name__)
            answered = False
            for condition in _TOLD_BY:
                metrics.broker_faults.labels(condition).set(math.nan)
        else:
            answered = True
            for condition in _TOLD_BY:
                faults = sum(report.value is None and report.condition is condition for report in reports)
                metrics.broker_faults.labels(condition).set(faults)
            with suppress(StoreUnavailableError):  # a counter that has risen is still higher at the next look
                await keep(reports, clock())
        metrics.broker_faults.labels(UNANSWERED).set(not answered)
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_EVERY_S):
                await stop.wait()
