"""Which seams are there? One protocol a consumer; the edges implement them, the loops use them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from service.core.delivery import Attempt

Clock = Callable[[], datetime]
"""Our clock, aware UTC. Passed, never imported: the loops are the only callers."""


class Token(NamedTuple):
    """Names a received message: which CONNACK it came after, and its packet id there."""

    connection: int
    packet_id: int


class RawMessage(NamedTuple):
    """Topic and bytes, not understood yet. `topic` is bytes since a hostile one need not be UTF-8."""

    token: Token
    topic: bytes
    payload: bytes
    received_ms: int


class Inbox(Protocol):
    """Where messages come from. QoS 1; nothing is settled before `settle` says so."""

    async def drain(self, max_messages: int, max_wait_s: float) -> list[RawMessage]:
        """Return what has arrived, in arrival order: at once if there is anything, else within `max_wait_s`."""

    def settle(self, tokens: Sequence[Token]) -> None:
        """Send the PUBACKs, in arrival order. Tokens of an earlier connection and unknown ones are counted, no more."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send at QoS 0, best effort: receipts and markers."""

    @property
    def connection(self) -> int:
        """How many CONNACKs there have been; 0 before the first."""

    @property
    def problem(self) -> str:
        """Empty while connected and subscribed, else one line for /ready."""


class StoreUnavailableError(Exception):
    """The database cannot be reached, or is starting or stopping: wait and try again."""


Lane = tuple[UUID, str]
"""An endpoint and a priority: requests of one lane wait for each other, those of two never do."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notification under lease, and where it goes."""

    notification_id: str
    lease_token: UUID
    lease_until: datetime
    kind: str
    priority: str
    attempts: int  # made so far
    created_at: datetime
    body: bytes
    url: str = field(repr=False)
    secret: str = field(repr=False)
    endpoint: UUID

    @property
    def lane(self) -> Lane:
        return self.endpoint, self.priority


class Sender(Protocol):
    """One HTTP POST to one endpoint: a deadline, no redirects."""

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        """Never raises for what a neighbour did; the outcome says it."""


class Outbox(Protocol):
    """Notifications that were committed with the alert change that asked for them."""

    async def claim(self, now: datetime, limit: int, busy: Mapping[Lane, int]) -> list[Claimed]:
        """Lease the oldest unsettled notification of each (alert, endpoint) that is due, the most urgent first.

        `busy` says how many requests of ours each lane carries now: a full lane gets no more.
        """

    async def record(self, claimed: Claimed, attempt: Attempt, now: datetime, retry_at: datetime | None) -> bool:
        """Write the attempt; settle, or make due again at `retry_at` (None after a failure: given up).

        A 410 disables the endpoint with it.
        False if the lease was no longer ours: then nothing but the attempt is written.
        """

    async def next_due(self, now: datetime) -> datetime | None:
        """When, after `now`, the next notification becomes due or its lease ends."""
