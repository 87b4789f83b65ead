"""How do notifications leave? Claim what is due, post each, record what came of it; for ever, many at a time."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from service.carriage import Claimed, LeasesLostError, Outbox, Recorded, Sender
from service.core.change import Priority
from service.core.delivery import LEAST_PATIENCE_S, WAITS_S, Attempt, Outcome, Waits, lease_s, patience_s, wait_after
from service.logs import tell
from service.loops.letters import Letters
from service.metrics import Metrics
from service.ports import Clock, StoreUnavailableError

POLL_S: Final = 2.0
"""The floor: nothing waits longer for a wake-up call that got lost, or for the lease of a worker that died."""
MOST_REQUESTS: Final = 256
CLAIM_EVERY_S: Final = 0.02
"""Under load: what became due meanwhile is claimed together, which costs no more than claiming one."""
STORE_AGAIN_S: Final = 1.0
SWEEP_EVERY_S: Final = 5.0
LOOK_EVERY_S: Final = 0.15
"""How often workers look whether the others live: a killed one's leases are free after four looks."""


async def deliver(
    outbox: Outbox,
    sender: Sender,
    *,
    metrics: Metrics,
    clock: Clock,
    stop: asyncio.Event,
    wake: asyncio.Event,
    letters: Letters,
    waits_s: Waits = WAITS_S,
    least_patience_s: float = LEAST_PATIENCE_S,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """Run until `stop` is set and the requests under way are done and recorded.

    `wake` is set by whoever learns that notifications were committed. Requests of one lane (endpoint, priority) are
    limited by the outbox, so that a slow endpoint holds up only itself, and reports never hold up a page.
    """
    patience = {priority: patience_s(priority, waits_s, least_patience_s) for priority in Priority}
    await _Worker(outbox, sender, metrics, clock, stop, wake, letters, waits_s, patience, monotonic_s).run()


@dataclass
class _Worker:
    outbox: Outbox
    sender: Sender
    metrics: Metrics
    clock: Clock
    stop: asyncio.Event
    wake: asyncio.Event
    letters: Letters
    waits_s: Waits
    patience_s: Mapping[Priority, float]
    monotonic_s: Callable[[], float]
    jitter: Callable[[], float] = random.random
    busy: set[str] = field(default_factory=set)
    posting: set[asyncio.Future[Attempt]] = field(default_factory=set)
    swept_at_s: float = float("-inf")

    async def run(self) -> None:
        reachable = True
        async with asyncio.TaskGroup() as requests:
            requests.create_task(self._wake_at_stop())
            requests.create_task(self._look_after_the_others())
            while not self.stop.is_set():
                self.wake.clear()
                asked_at_s = self.monotonic_s()
                try:
                    pause_s = await self._begin_what_is_due(requests)
                    await self._sweep()
                except StoreUnavailableError as error:
                    self._let_go_if_lost(error)
                    if reachable:
                        tell("outbox_unreachable", logging.WARNING, reason=error)
                    reachable = False
                    await _first_of(self.stop, STORE_AGAIN_S)
                    continue
                if not reachable:
                    tell("outbox_reached_again")
                reachable = True
                await _first_of(self.wake, pause_s)
                await _first_of(self.stop, CLAIM_EVERY_S - (self.monotonic_s() - asked_at_s))
            tell("delivery_stopping", under_way=len(self.busy))

    async def _look_after_the_others(self) -> None:
        while not self.stop.is_set() or self.busy:
            try:
                if freed := await self.outbox.free_the_dead():
                    tell("leases_freed", logging.WARNING, notifications=len(freed), reason="their worker is gone")
                    self.wake.set()
            except StoreUnavailableError as error:
                self._let_go_if_lost(error)
            await asyncio.sleep(LOOK_EVERY_S)

    def _let_go_if_lost(self, error: StoreUnavailableError) -> None:
        """Never two requests at once for one notification: what others may take is broken off here."""
        if isinstance(error, LeasesLostError) and self.posting:
            tell("requests_broken_off", logging.WARNING, requests=len(self.posting), reason=error)
            for request in self.posting:
                request.cancel()

    async def _begin_what_is_due(self, requests: asyncio.TaskGroup) -> float:
        """Claim and begin; return how long to wait at most before the next look."""
        asked_at_s = self.monotonic_s()  # before the database's clock read: a lease is never longer than we believe
        claimed = await self.outbox.claim(MOST_REQUESTS - len(self.busy))
        for each in claimed:
            self.busy.add(each.notification_id)
            requests.create_task(self._carry(each, asked_at_s + lease_s(each.deadline_s)))
        if claimed:
            return CLAIM_EVERY_S
        due_s = await self.outbox.next_due_s()
        return POLL_S if due_s is None else min(POLL_S, max(due_s, 0.0))

    async def _sweep(self) -> None:
        """Now and then: give up what is too old, loudly, and count what stands still."""
        now_s = self.monotonic_s()
        if now_s < self.swept_at_s + SWEEP_EVERY_S:
            return
        self.swept_at_s = now_s
        swept = await self.outbox.sweep(self.patience_s)
        self.metrics.open_circuits.set(swept.open_circuits)
        self.metrics.undelivered_pages.set(swept.undelivered_pages)
        for each in swept.given_up:
            self.metrics.given_up.labels(priority=each.priority).inc()
            tell("notification_given_up", logging.ERROR, **each._asdict(), reason="its time is over")

    async def _carry(self, claimed: Claimed, lease_ends_s: float) -> None:
        try:
            await self._deliver(claimed, lease_ends_s)
        finally:
            self.busy.discard(claimed.notification_id)
            self.wake.set()  # there is room, and what had to wait for this one may go

    async def _deliver(self, claimed: Claimed, lease_ends_s: float) -> None:
        if lease_ends_s - self.monotonic_s() <= claimed.deadline_s:
            tell("lease_too_short", logging.WARNING, notification=claimed.notification_id)
            return
        if claimed.kind == "activated" and claimed.attempts == 0:
            waited_s = (self.clock() - claimed.created_at).total_seconds()
            self.metrics.reading_to_webhook_seconds.observe(waited_s)
        attempt = await self._post(claimed)
        self.metrics.attempts.labels(outcome=str(attempt.outcome)).inc()
        failures = claimed.failures + 1
        wait_s = wait_after(
            Priority(claimed.priority), claimed.kind, failures, attempt, jitter=self.jitter(), waits_s=self.waits_s
        )
        recorded = await self._record(claimed, attempt, wait_s)
        if recorded is None:
            return
        if recorded.held and wait_s is None and attempt.outcome is not Outcome.DELIVERED:
            self.metrics.given_up.labels(priority=claimed.priority).inc()
        _tell(claimed, attempt, wait_s, recorded)

    async def _post(self, claimed: Claimed) -> Attempt:
        if claimed.problem:
            return Attempt(Outcome.NOT_SENT, None, 0.0, claimed.problem)
        try:
            letter = replace(claimed, body=self.letters.write(claimed))
        # One body that cannot be put into its form must not end the worker that pages for all the others.
        except Exception as error:  # noqa: BLE001
            return Attempt(Outcome.NOT_SENT, None, 0.0, f"not written: {type(error).__name__}")
        posting = asyncio.ensure_future(self.sender.post(letter, self.clock(), claimed.deadline_s))
        self.posting.add(posting)
        posting.add_done_callback(self.posting.discard)
        return await posting

    async def _record(self, claimed: Claimed, attempt: Attempt, wait_s: float | None) -> Recorded | None:
        """None if we were stopped while the database was away."""
        while True:
            try:
                return await self.outbox.record(claimed, attempt, self.clock(), wait_s)
            except StoreUnavailableError as error:
                if self.stop.is_set():
                    tell("attempt_not_recorded", logging.WARNING, notification=claimed.notification_id, reason=error)
                    return None
            # Past the lease's end too: the token is the fence, and while the database is away nobody else can claim.
            await _first_of(self.stop, STORE_AGAIN_S)

    async def _wake_at_stop(self) -> None:
        await self.stop.wait()
        self.wake.set()


def _tell(claimed: Claimed, attempt: Attempt, wait_s: float | None, recorded: Recorded) -> None:
    fields: dict[str, Any] = {
        "notification": claimed.notification_id,
        "alert": claimed.alert_id,
        "endpoint": claimed.endpoint,
        "kind": claimed.kind,
        "priority": claimed.priority,
        "attempt": claimed.attempts + 1,
        "ms": round(attempt.duration_ms),
    }
    if attempt.outcome is not Outcome.DELIVERED:
        fields |= {"outcome": attempt.outcome, "status": attempt.status or "none", "detail": attempt.detail}
    if not recorded.held:
        tell("lease_lost", logging.WARNING, **fields)
    elif attempt.outcome is Outcome.DELIVERED:
        tell("notification_delivered", **fields)
    elif wait_s is not None:
        tell("attempt_failed", logging.WARNING, **fields, again_in_s=round(wait_s, 1))
    else:
        tell("notification_given_up", logging.ERROR, **fields)
    if recorded.opened:
        tell("circuit_opened", logging.WARNING, endpoint=claimed.endpoint, name=claimed.endpoint_name)
    if recorded.closed:
        tell("circuit_closed", endpoint=claimed.endpoint, name=claimed.endpoint_name)
    if recorded.disabled:
        fields = {"endpoint": claimed.endpoint, "name": claimed.endpoint_name, "reason": "it answered 410"}
        tell("endpoint_disabled", logging.ERROR, **fields, others_told=recorded.told)


async def _first_of(event: asyncio.Event, wait_s: float) -> None:
    """Return when `event` is set, and at the latest after `wait_s`."""
    if wait_s <= 0:
        return
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
