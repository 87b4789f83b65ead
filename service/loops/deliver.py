"""How do notifications leave? Claim what is due, post each, record what came of it; for ever, many at a time."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.core.change import Priority
from service.core.delivery import Attempt, Outcome, after_attempt, attempt_deadline_s
from service.logs import tell
from service.metrics import Metrics
from service.ports import Claimed, Clock, Lane, Outbox, Sender, StoreUnavailableError

POLL_S = 2.0
"""The floor: nothing waits longer for a wake-up call that got lost, or for the lease of a worker that died."""
MOST_REQUESTS = 256
STORE_AGAIN_S = 1.0


async def deliver(
    outbox: Outbox, sender: Sender, *, metrics: Metrics, clock: Clock, stop: asyncio.Event, wake: asyncio.Event
) -> None:
    """Run until `stop` is set and the requests under way are done and recorded.

    `wake` is set by whoever learns that notifications were committed. Requests of one lane (endpoint, priority) are
    limited by the outbox, so that a slow endpoint holds up only itself, and reports never hold up a page.
    """
    await _Worker(outbox, sender, metrics, clock, stop, wake).run()


@dataclass
class _Worker:
    outbox: Outbox
    sender: Sender
    metrics: Metrics
    clock: Clock
    stop: asyncio.Event
    wake: asyncio.Event
    jitter: Callable[[], float] = random.random
    busy: Counter[Lane] = field(default_factory=Counter)

    async def run(self) -> None:
        reachable = True
        async with asyncio.TaskGroup() as requests:
            requests.create_task(self._wake_at_stop())
            while not self.stop.is_set():
                self.wake.clear()
                try:
                    pause_s = await self._begin_what_is_due(requests)
                except StoreUnavailableError as error:
                    if reachable:
                        tell("outbox_unreachable", logging.WARNING, reason=error)
                    reachable = False
                    await _first_of(self.stop, STORE_AGAIN_S)
                    continue
                if not reachable:
                    tell("outbox_reached_again")
                reachable = True
                await _first_of(self.wake, pause_s)
            tell("delivery_stopping", under_way=self.busy.total())

    async def _begin_what_is_due(self, requests: asyncio.TaskGroup) -> float:
        """Claim and begin; return how long to wait at most before the next look."""
        now = self.clock()
        claimed = await self.outbox.claim(now, MOST_REQUESTS - self.busy.total(), self.busy)
        for each in claimed:
            self.busy[each.lane] += 1
            requests.create_task(self._carry(each))
        next_due = await self.outbox.next_due(now)
        return POLL_S if next_due is None else min(POLL_S, (next_due - now).total_seconds())

    async def _carry(self, claimed: Claimed) -> None:
        try:
            await self._deliver(claimed)
        finally:
            self.busy -= Counter([claimed.lane])
            self.wake.set()  # there is room, and what had to wait for this one may go

    async def _deliver(self, claimed: Claimed) -> None:
        priority = Priority(claimed.priority)
        deadline_s = attempt_deadline_s(priority)
        now = self.clock()
        if (claimed.lease_until - now).total_seconds() <= deadline_s:
            tell("lease_too_short", logging.WARNING, notification=claimed.notification_id)
            return
        if claimed.kind == "activated" and claimed.attempts == 0:
            self.metrics.reading_to_webhook_seconds.observe((now - claimed.created_at).total_seconds())
        attempt = await self.sender.post(claimed, now, deadline_s)
        self.metrics.attempts.labels(outcome=str(attempt.outcome)).inc()
        now = self.clock()
        retry_at = after_attempt(priority, claimed.kind, claimed.attempts + 1, attempt, now=now, jitter=self.jitter())
        held = await self._record(claimed, attempt, now, retry_at)
        if held is not None:
            _tell(claimed, attempt, retry_at, held=held)

    async def _record(
        self, claimed: Claimed, attempt: Attempt, now: datetime, retry_at: datetime | None
    ) -> bool | None:
        """Whether the lease was still ours; None if we were stopped while the database was away."""
        while True:
            try:
                return await self.outbox.record(claimed, attempt, now, retry_at)
            except StoreUnavailableError as error:
                if self.stop.is_set():
                    tell("attempt_not_recorded", logging.WARNING, notification=claimed.notification_id, reason=error)
                    return None
            # Past the lease's end too: the token is the fence, and while the database is away nobody else can claim.
            await _first_of(self.stop, STORE_AGAIN_S)

    async def _wake_at_stop(self) -> None:
        await self.stop.wait()
        self.wake.set()


def _tell(claimed: Claimed, attempt: Attempt, retry_at: datetime | None, *, held: bool) -> None:
    fields: dict[str, Any] = {
        "notification": claimed.notification_id,
        "endpoint": claimed.endpoint,
        "kind": claimed.kind,
        "priority": claimed.priority,
        "attempt": claimed.attempts + 1,
        "ms": round(attempt.duration_ms),
    }
    if attempt.outcome is not Outcome.DELIVERED:
        fields |= {"outcome": attempt.outcome, "status": attempt.status or "none", "detail": attempt.detail}
    if not held:
        tell("lease_lost", logging.WARNING, **fields)
    elif attempt.outcome is Outcome.DELIVERED:
        tell("notification_delivered", **fields)
    elif retry_at is not None:
        tell("attempt_failed", logging.WARNING, **fields, retry_at=retry_at.isoformat(timespec="milliseconds"))
    else:
        tell("notification_given_up", logging.ERROR, **fields)
        if attempt.outcome is Outcome.GONE:
            tell("endpoint_disabled", logging.ERROR, endpoint=claimed.endpoint, reason="it answered 410")


async def _first_of(event: asyncio.Event, wait_s: float) -> None:
    """Return when `event` is set, and at the latest after `wait_s`."""
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
