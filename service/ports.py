"""Which seams are there? One protocol a consumer; the edges implement them, the loops use them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from service.core.change import Change
from service.core.fleet import Fleet, PumpEntry
from service.core.override import Override
from service.core.pipeline import Decisions
from service.core.pump_rules import Term
from service.core.reading import Items
from service.core.rejection import Reason, Rejection
from service.core.relearn import Seed
from service.core.repeats import Told
from service.core.rulebook import Rulebook
from service.core.sequence import Gap

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

    def drain_ahead(self, max_messages: int) -> list[RawMessage]:
        """Return what has arrived by now. The next `drain` then waits for nothing else."""

    def settle(self, tokens: Sequence[Token]) -> None:
        """Send the PUBACKs, in arrival order. Tokens of an earlier connection and unknown ones are counted, no more."""

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send (topic, payload) at QoS 0, best effort: receipts and markers."""

    @property
    def connection(self) -> int:
        """How many CONNACKs there have been; 0 before the first."""

    @property
    def problem(self) -> str:
        """Empty while connected and subscribed, else one line for /ready."""


class StoreUnavailableError(Exception):
    """The database cannot be reached, or is starting or stopping: wait and try again."""


class Recovered(NamedTuple):
    """What an ingester needs to go on where the last one stopped, by the pumps' keys."""

    checkpoints: Mapping[int, "Checkpoint"]
    unreadable: Collection[int]  # pumps whose checkpoint has another layout: its state says nothing
    lost: Mapping[int, Sequence[tuple[int, int]]]
    offsets: Mapping[int, Sequence[tuple[int, int]]]  # (from position, offset of the clock), in this order
    rebuild_from: Mapping[int, int]
    waited_for: Collection[int]  # pumps with a hole that is waited for no longer


class Run(NamedTuple):
    """Where in the store to look for some positions of one pump."""

    key: int
    first: int
    last: int
    since: datetime
    until: datetime


class Checkpoint(NamedTuple):
    """State of one pump after everything up to `position`; `since`: when that was measured; `through`: see
    core/sequence.py; `newest_ms`: the newest time that it has measured, 0 where that is not known. One a day is kept
    beside the latest: `may_be_first_of_day` is false where that of today is there.
    """

    key: int
    position: int
    through: int
    since: datetime
    state: npt.NDArray[np.float64]
    newest_ms: int = 0
    may_be_first_of_day: bool = True


class Refused(NamedTuple):
    """An item that was not stored, why, and what is stored in its place, if anything is."""

    key: int
    position: int
    reason: Reason
    detail: str
    stored: np.void | None


class RefusedError(Exception):
    """Nothing of a batch was written, since the store does not take these items of it."""

    def __init__(self, refused: Sequence[Refused]) -> None:
        super().__init__(f"{len(refused)} refused, the first: {refused[0].detail}")
        self.refused = refused


class RulesChange(NamedTuple):
    """Pumps, by key, that are judged by other rules from now on: where they were, and what holds there already."""

    rulebook: Rulebook
    terms: Mapping[int, Term]
    checkpoints: Sequence[Checkpoint]
    turns: Sequence[Change]


class ShardStatus(NamedTuple):
    """How an ingester is: when its last marker came back through the broker, since when its session stands, what is
    wrong, and when the broker was last found to have forgotten the session.
    """

    marker_at: datetime | None
    session_since: datetime | None
    problem: str
    session_lost_at: datetime | None = None


class IngestStore(Protocol):
    """What the ingester writes and reads back. Every call waits for the database as long as it takes.

    Writes happen once, while the shard is ours; after that they raise FencedError.
    """

    @property
    def problem(self) -> str:
        """Empty while the database answers, else one line."""

    async def take_over(self, owner: str) -> None: ...
    def hold(self, epochs: Mapping[int, int]) -> None:
        """These shards were won by lease, with these epochs."""

    def let_go(self, shards: Collection[int]) -> None:
        """These are no longer ours."""

    async def pumps(self, keys: Sequence[int] | None = None, shards: Collection[int] | None = None) -> list[PumpEntry]:
        """What the registry says of these pumps, of all of these shards, or of all that are ours."""

    async def changed(self, since: datetime) -> Mapping[datetime, Sequence[int]]:
        """The shard's pumps whose registry entry changed after `since`, by when it did."""

    async def enrol(self, pump_ids: Sequence[str], simulated: Sequence[bool]) -> list[PumpEntry]:
        """Enter pumps that no list has. Those of other shards are returned like ours."""

    async def recovered(self, shards: Collection[int] | None = None) -> Recovered:
        """Of these shards, or of all that are ours."""

    async def items_after(self, keys: Sequence[int], after: Sequence[int], since: Sequence[datetime]) -> Items:
        """Stored items beyond positions `after`, by key and position; `since`: when `after` was measured, or before."""

    async def items_next(
        self, keys: Sequence[int], after: Sequence[int], since: Sequence[datetime], most: int
    ) -> tuple[Items, set[int]]:
        """The first of those, about `most` of each pump and one at least; and the keys of which there may be more."""

    async def stored_among(self, runs: Sequence["Run"]) -> set[tuple[int, int]]:
        """(key, position) of every item that is stored within these runs."""

    async def stored_as(self, items: Items, apart: timedelta) -> Items:
        """What is stored in the places of these, `pump` being the database's key, and was measured within `apart` of
        them; of several in one place, that of the very time comes first.
        """

    async def accepted_boots(self, keys: Sequence[int]) -> Mapping[int, int]:
        """Of these pumps, the boots that people have accepted although they are too far ahead."""

    async def checkpoint_before(self, key: int, position: int, horizon: datetime) -> Checkpoint:
        """The nearest one; where none is kept, what was known at the horizon."""

    async def terms(self, keys: Sequence[int]) -> Mapping[int, Sequence[Term]]:
        """By what these pumps were ever judged, in order."""

    async def seeds(self, keys: Sequence[int], at: datetime) -> Mapping[int, Sequence[Seed]]:
        """Of what alerts stood open at a time of the pump's clock."""

    async def overrides(self) -> Sequence[Override]:
        """Those that people have set and nobody has ended."""

    async def put_in_force(self, change: RulesChange, now: datetime) -> None:
        """Checkpoints, limits and what follows: all or nothing."""

    async def use(self, rulebook: Rulebook, now: datetime) -> None:
        """Decide by this rulebook what becomes of alerts, and say that it is in force."""

    async def commit_batch(
        self,
        fleet: Fleet,
        decisions: Decisions,
        bodies: Sequence[bytes],
        rejected: Sequence[tuple[RawMessage, Rejection]],
        now: datetime,
    ) -> int:
        """Readings, events (`bodies` in their order), gaps, quarantine, alerts, notifications: all or nothing.

        Returns how many of them were stored already, equal to these. Raises RefusedError, where nothing is written.
        """

    async def commit_fold(self, changes: Sequence[Change], gaps: Mapping[int, Sequence[Gap]], now: datetime) -> None:
        """What followed from items that were stored before. `gaps` by key."""

    async def forget_rebuild(self, keys: Sequence[int]) -> None:
        """These pumps need not be worked out again: nothing is stored that could be."""

    async def commit_rebuild(
        self, late_from: int, start: Checkpoint, episodes: Sequence[Change], rebuilt: Checkpoint, now: datetime
    ) -> None:
        """The pump's alerts become those of in-order arrival; `episodes` are its turns after `start`."""

    async def save_checkpoints(self, checkpoints: Sequence[Checkpoint], now: datetime) -> None: ...
    async def save_latest(self, fleet: Fleet, rows: npt.NDArray[np.intp]) -> None:
        """What was last heard of the pumps in these rows. Beside the batches, like the next: no batch waits for it."""

    async def save_repeating(self, told: Sequence[Told], now: datetime) -> None:
        """Who sends again and again what is known."""

    async def save_shards(self, statuses: Mapping[int, ShardStatus], now: datetime) -> None:
        """How the shards are, and that this role lives. Raises FencedError."""

    async def close(self) -> None: ...


class Again(NamedTuple):
    """A message that is to be read again, under its number in the quarantine, as it came and when it came."""

    number: int
    topic: bytes
    payload: bytes
    received_ms: int


class Housekeeping(Protocol):
    """What the store needs now and then. Raises StoreUnavailableError while the database is away."""

    async def make_ahead(self, first: date, last: date) -> list[str]:
        """Make room for the days from `first` to `last`; return the days that needed some."""

    async def drop_before(self, first_kept: date) -> list[str]:
        """Forget readings measured before that day; return what was dropped."""

    async def longest_kept_d(self, retention_d: int) -> int:
        """For how many days somebody keeps readings: a site may keep its own longer, or less long."""

    async def forget_a_day(self, today: date, retention_d: int) -> "Forgotten | None":
        """Delete one day of a site that keeps its readings less long than others; None: there is none left."""

    async def forget_changes(self, now: datetime) -> int:
        """Delete what was changed so long ago that nobody follows on from it; return how many rows."""

    async def waiting(self, until: date, most: int) -> list["Waiting"]:
        """Days of pumps before `until` of which readings wait that came late, the oldest first."""

    async def merge(self, slot: "Waiting", most: int, now: datetime) -> "Merged":
        """Merge at most so many of them."""


class Forgotten(NamedTuple):
    """A day of a site that is kept no longer; empty: of the pumps that are of no site."""

    site: str
    day: date
    readings: int


class Waiting(NamedTuple):
    """A day of a pump of which readings wait to be merged."""

    key: int
    pump_id: str
    day: date


class Merged(NamedTuple):
    readings: int
    known: int  # were stored already, with the same values
    conflicts: int  # were stored already, with others, and are kept aside


class FencedError(Exception):
    """Another ingester has taken the shard over."""


class MarkedInbox(Inbox, Protocol):
    """An inbox that can show that it hears: a marker sent through the broker to ourselves comes back."""

    async def start(self) -> None:
        """Begin to connect; returns at once. `problem` says how it goes."""

    async def close(self, *, graceful: bool = True) -> None:
        """Stop; the session stays at the broker."""

    def send_marker(self) -> None: ...

    @property
    def statuses(self) -> Mapping[int, ShardStatus]:
        """By shard, how its session is."""

    @property
    def marker_seen_at(self) -> datetime | None:
        """When the newest marker came back before which all that arrived is settled; None while nothing shows that we
        hear. Of several shards, the oldest of these.
        """

    @property
    def held_bytes(self) -> int: ...
