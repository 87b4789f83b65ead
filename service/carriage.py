"""Which seams does delivery have? What a worker takes from the outbox, sends, and writes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from service.core.change import Priority
from service.core.delivery import Attempt
from service.ports import StoreUnavailableError


class LeasesLostError(StoreUnavailableError):
    """It is away for us, and maybe not for others: they may take what we have under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A notification under lease, and where and how it goes."""

    notification_id: str
    lease_token: UUID
    deadline_s: float  # of one request; the lease is twice that, from when it was claimed
    kind: str
    priority: str
    attempts: int  # made so far
    failures: int  # of those since it was made or redriven
    created_at: datetime
    since: datetime  # when it was made or redriven
    body: bytes  # our own, as it stands in the database
    endpoint: UUID
    endpoint_name: str
    alert_id: UUID | None
    number: int
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)  # the newest first
    format: str = "pumpwatch"
    template: str | None = None
    routing_key: str | None = field(default=None, repr=False)
    problem: str = ""  # why it cannot be sent at all


class Recorded(NamedTuple):
    """What came of writing an attempt down."""

    held: bool
    opened: bool = False  # the endpoint's circuit
    closed: bool = False
    disabled: bool = False  # the endpoint
    told: int = 0  # how many others were told of that


class GivenUp(NamedTuple):
    """A notification whose patience is over."""

    notification_id: str
    endpoint: UUID
    kind: str
    priority: str
    attempts: int


class Swept(NamedTuple):
    given_up: Sequence[GivenUp]
    open_circuits: int
    undelivered_pages: int


class Sender(Protocol):
    """One HTTP POST to one endpoint: a deadline, no redirects."""

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        """Never raises for what a neighbour did; the outcome says it."""


class Outbox(Protocol):
    """Notifications that were committed with the alert change that asked for them. Its clock is its own."""

    async def claim(self, limit: int) -> list[Claimed]:
        """Lease the oldest unsettled notification of each (alert, endpoint) that is due, the most urgent first.

        No more than each endpoint's limit for all workers together; one whose circuit is open is only probed.
        """

    async def record(self, claimed: Claimed, attempt: Attempt, now: datetime, wait_s: float | None) -> Recorded:
        """Write the attempt; settle, or make due again after `wait_s` (None after a failure: given up).

        A 410 disables the endpoint with it, and tells the others.
        If the lease was no longer ours nothing but the attempt is written.
        """

    async def free_the_dead(self) -> Sequence[str]:
        """Show that we live, and free at once what workers had leased that live no longer; the ids of that."""

    async def next_due_s(self) -> float | None:
        """In how many seconds the next notification becomes due or its lease ends."""

    async def sweep(self, patience_s: Mapping[Priority, float]) -> Swept:
        """Give up what is older than the patience that its priority deserves, and say how things stand."""
