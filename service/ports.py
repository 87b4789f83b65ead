"""Which seams are there? One protocol a consumer; the edges implement them, the loops use them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import numpy as np
import numpy.typing as npt

from service.core.change import Change
from service.core.delivery import Attempt
from service.core.fleet import Fleet, PumpEntry
from service.core.ledger import Gap
from service.core.pipeline import Decisions
from service.core.reading import Items
from service.core.rejection import Rejection

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


class Recovered(NamedTuple):
    """What an ingester needs to go on where the last one stopped, by the pumps' keys."""

    checkpoints: Mapping[int, "Checkpoint"]
    lost: Mapping[int, Sequence[tuple[int, int]]]
    offset_ms: Mapping[int, int]
    rebuild_from: Mapping[int, int]
    waited_for: Collection[int]  # pumps with a hole that is waited for no longer


class Checkpoint(NamedTuple):
    """State of one pump after everything up to `position`; `since`: when that was measured; `through`: see
    core/ledger.py.
    """

    key: int
    position: int
    through: int
    since: datetime
    state: npt.NDArray[np.float64]


class ShardStatus(NamedTuple):
    """How an ingester is: when its last marker came back through the broker, since when its session stands, what is
    wrong.
    """

    marker_at: datetime | None
    session_since: datetime | None
    problem: str


class IngestStore(Protocol):
    """What the ingester writes and reads back. Every call waits for the database as long as it takes.

    Writes happen once, while the shard is ours; after that they raise FencedError.
    """

    @property
    def problem(self) -> str:
        """Empty while the database answers, else one line."""

    async def take_over(self, owner: str) -> None: ...
    async def pumps(self, changed_since: datetime | None) -> list[PumpEntry]:
        """The shard's pumps; those whose registry entry changed after `changed_since`, where that is given."""

    async def enrol(self, pump_ids: Sequence[str], simulated: Sequence[bool]) -> list[PumpEntry]:
        """Enter pumps that no list has. Those of other shards are returned like ours."""

    async def recovered(self) -> Recovered: ...
    async def items_after(self, keys: Sequence[int], after: Sequence[int], since: Sequence[datetime]) -> Items:
        """Stored items beyond positions `after`, sorted by key and position; `since`: when `after` was measured, or
        earlier.
        """

    async def checkpoint_before(self, key: int, position: int) -> Checkpoint: ...
    async def commit_batch(
        self,
        fleet: Fleet,
        decisions: Decisions,
        bodies: Sequence[bytes],
        rejected: Sequence[tuple[RawMessage, Rejection]],
        now: datetime,
    ) -> None:
        """Readings, events (`bodies` in their order), gaps, quarantine, alerts, notifications: all or nothing."""

    async def commit_fold(self, changes: Sequence[Change], gaps: Mapping[int, Sequence[Gap]], now: datetime) -> None:
        """What followed from items that were stored before. `gaps` by key."""

    async def commit_rebuild(
        self, late_from: int, start: Checkpoint, episodes: Sequence[Change], rebuilt: Checkpoint, now: datetime
    ) -> None:
        """The pump's alerts become those of in-order arrival; `episodes` are its turns after `start`."""

    async def save_checkpoints(self, checkpoints: Sequence[Checkpoint], now: datetime) -> None: ...
    async def save_latest(self, fleet: Fleet, rows: npt.NDArray[np.intp], status: ShardStatus, now: datetime) -> None:
        """What was last heard, how the shard is, and that this role lives: one transaction."""

    async def close(self) -> None: ...


class Housekeeping(Protocol):
    """What the store needs now and then. Raises StoreUnavailableError while the database is away."""

    async def make_ahead(self, first: date, last: date) -> list[str]:
        """Make room for the days from `first` to `last`; return the days that could not have their own."""

    async def drop_before(self, first_kept: date) -> list[str]:
        """Forget readings measured before that day; return what was dropped."""


class FencedError(Exception):
    """Another ingester has taken the shard over."""


class Sender(Protocol):
    """One HTTP POST to one endpoint: a deadline, no redirects."""

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        """Never raises for what a neighbour did; the outcome says it."""


class MarkedInbox(Inbox, Protocol):
    """An inbox that can show that it hears: a marker sent through the broker to ourselves comes back."""

    async def start(self) -> None:
        """Begin to connect; returns at once. `problem` says how it goes."""

    async def close(self, *, graceful: bool = True) -> None:
        """Stop; the session stays at the broker."""

    def send_marker(self) -> None: ...

    @property
    def marker_seen_at(self) -> datetime | None:
        """When the newest marker came back before which all that arrived is settled; None while nothing shows that we
        hear.
        """

    @property
    def session_since(self) -> datetime | None:
        """Since when the session stands, by our clock."""

    @property
    def held_bytes(self) -> int: ...


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
