"""Which seams are there? One protocol a consumer; the edges implement them, the loops use them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

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
        """Return what has arrived, in arrival order: at once when there is anything, else after at most `max_wait_s`."""

    def settle(self, tokens: Sequence[Token]) -> None:
        """Send the PUBACKs, in arrival order. Tokens of an earlier connection and unknown ones are forgotten, counted."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Send at QoS 0, best effort: receipts and markers."""

    @property
    def connection(self) -> int:
        """How many CONNACKs there have been; 0 before the first."""

    @property
    def problem(self) -> str:
        """Empty while connected and subscribed, else one line for /ready."""


class Outcome(StrEnum):
    """What one attempt came to. The strings are those of the database, the API and the metrics."""

    DELIVERED = "delivered"  # 2xx
    REFUSED = "refused"  # 4xx other than 408, 425, 429 and 410
    GONE = "gone"  # 410: the endpoint wants no more
    THROTTLED = "throttled"  # 429
    FAILED = "failed"  # 5xx, 3xx (never followed), 408, 425
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"  # connection refused or reset, DNS
    TLS_FAILED = "tls_failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request and what it came to."""

    outcome: Outcome
    status: int | None
    duration_ms: float
    detail: str = ""
    retry_after_s: float | None = None


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
    endpoint: UUID = field(default_factory=lambda: UUID(int=0))


class Sender(Protocol):
    """One HTTP POST to one endpoint: a deadline, no redirects."""

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        """Never raises for what a neighbour did; the outcome says it."""


class Outbox(Protocol):
    """Notifications that were committed with the alert change that asked for them."""

    async def claim(self, now: datetime, limit: int) -> list[Claimed]:
        """Lease the oldest unsettled notification of each (alert, endpoint) that is due."""

    async def record(self, claimed: Claimed, attempt: Attempt, now: datetime, retry_at: datetime | None) -> bool:
        """Write the attempt; settle, or make due again at `retry_at` (None after a failure: given up).

        False if the lease was no longer ours: then nothing but the attempt is written.
        """

    async def next_due(self) -> datetime | None:
        """When the next notification becomes due or its lease ends."""
