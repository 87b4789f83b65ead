"""What would a rulebook have found in a stream of wire messages? The same pipeline, without broker, clock or store.

Arrival order does not matter to the fold: what comes after a hole waits until the hole closes or the stream ends. What
is decided from absence has the stream's own times for a clock (core/by_stream.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np

from service.core.by_stream import Said, StreamWatch, received_one_by_one
from service.core.change import Change, Condition, Priority, Standing, Turn
from service.core.decode import decode
from service.core.fleet import Fleet, PumpEntry
from service.core.override import Whose
from service.core.pipeline import Decisions, fold_copy, in_order, on_batch, publish, publish_folded
from service.core.reading import DrugClass, Items
from service.core.rejection import Rejection
from service.core.rulebook import PumpFacts, Rulebook
from service.core.sequence import Gap

MOST_SPREAD_MS: Final = 4 * 3_600_000
"""A message can stand for at most so long: what lies further back than this is known for good."""
_NEVER_IMPATIENT_MS: Final = 0  # a clock that stands still ends no patience
_UNREGISTERED: Final = PumpFacts(
    DrugClass.UNKNOWN, flow_sensor=False, reservoir_sensor=False, capacity_ml=20.0, interval_s=60.0
)


class WireMessage(msgspec.Struct):
    """One line of a stream: `{"topic": …, "received_ms": …, "spread_ms": …, "payload": {…}}`.

    `spread_ms`, where it is said, is how long before `received_ms` the first of the readings came (at most 4 h): the
    message stands for one a reading.
    """

    topic: bytes
    received_ms: int
    payload: bytes
    spread_ms: int = 0


class Finding(msgspec.Struct, omit_defaults=False):
    """One alert that would have been raised. Times are pump time in milliseconds; `ended_ms` is None while it lasts.

    `pump_id` is empty where `subject` names a site. `shadow`: kept, never announced. `inhibited`: its site's alert
    tells of it.
    """

    pump_id: str
    condition: Condition
    priority: Priority
    began_ms: int
    detected_ms: int
    received_ms: int
    detected_position: int
    ended_ms: int | None = None
    subject: str = ""
    shadow: bool = False
    inhibited: bool = False
    evidence: dict[str, float | int | str] = {}


class _Line(msgspec.Struct):
    topic: str
    received_ms: int
    payload: msgspec.Raw
    spread_ms: Annotated[int, msgspec.Meta(ge=0, le=MOST_SPREAD_MS)] = 0


_decode_line: Final = msgspec.json.Decoder(_Line).decode


def read_line(line: bytes) -> WireMessage:
    """Raise msgspec.DecodeError, with what is wrong, where `line` is no wire message."""
    found = _decode_line(line)
    return WireMessage(found.topic.encode(), found.received_ms, bytes(found.payload), found.spread_ms)


class Backtest:
    def __init__(self, rulebook: Rulebook, registered: Iterable[tuple[str, PumpFacts]]) -> None:
        self._rulebook = rulebook
        self._fleet = Fleet(rulebook)
        self._watch = StreamWatch(rulebook)
        self._facts: list[PumpFacts] = []
        self._waiting: dict[int, list[Items]] = {}
        self._lost: dict[int, frozenset[Gap]] = {}
        self._open: dict[tuple[int, str, Condition], Finding] = {}
        self._unheard: set[int] = set()  # rows
        self._began_ms = 0
        self._newest_ms = 0
        self.findings: list[Finding] = []
        self.rejections: list[Rejection] = []
        self.readings = 0
        self._enter(list(registered))

    @property
    def pump_hours(self) -> float:
        """What was watched: every pump, from the first message on."""
        return len(self._fleet) * max(self._newest_ms - self._began_ms, 0) / 3_600_000

    def feed(self, messages: Sequence[WireMessage]) -> None:
        """Take the next messages of the stream, in the order in which they came."""
        if not messages:
            return
        spread_ms = np.array([message.spread_ms for message in messages], np.int64)
        self._began_ms = self._began_ms or messages[0].received_ms - int(spread_ms[0])
        decoded = decode(messages, self._fleet.row_of)
        if decoded.unknown_pumps:
            self._enter([(pump_id.decode(), _UNREGISTERED) for pump_id in decoded.unknown_pumps])
            decoded = decode(messages, self._fleet.row_of)
        self.rejections += decoded.rejections
        received_one_by_one(decoded.items, spread_ms)
        self._watch_whom_it_names(decoded.items)
        self._evaluate(in_order(decoded.items), decoded.held_from)
        self._newest_ms = max(self._newest_ms, messages[-1].received_ms)
        self._tell(self._watch.until(self._newest_ms - MOST_SPREAD_MS))

    def feed_stored(self, items: Items, pump_ids: Mapping[int, str], until_ms: int) -> None:
        """Take the next span of a stored history: what was measured until then, sorted by the store's key and position.

        What is not stored was lost for good: nothing that comes later can fill a hole.
        """
        if not len(items):
            return
        self._began_ms = self._began_ms or int(items["received_ms"].min())
        unknown = [name for name in pump_ids.values() if name.encode() not in self._fleet.row_of]
        self._enter([(name, _UNREGISTERED) for name in unknown])
        row_of = {key: self._fleet.row_of[name.encode()] for key, name in pump_ids.items()}
        keys, inverse = np.unique(items["pump"], return_inverse=True)
        items["pump"] = np.array([row_of[key] for key in keys.tolist()], np.int32)[inverse]
        items["message"] = np.arange(len(items))
        held_from = items["position"].copy()
        self._watch_whom_it_names(items)
        self._evaluate(in_order(items), held_from)
        self._newest_ms = max(self._newest_ms, int(items["received_ms"].max()))
        self._tell(self._watch.until(until_ms))

    def finish(self) -> list[Finding]:
        """Evaluate what still waits behind a hole, and return every finding in the order of detection."""
        for row in sorted(self._waiting):
            self._from_waiting(row, np.iinfo(np.int64).max)
        self._watch_from(sorted(self._unheard), self._began_ms)
        self._tell(self._watch.until(self._newest_ms))
        return sorted(
            self.findings, key=lambda finding: (finding.received_ms, finding.pump_id, finding.detected_position)
        )

    def _watch_whom_it_names(self, items: Items) -> None:
        """A pump is watched from its first message on: the stream may begin with others'."""
        if self._unheard and len(items):
            rows, first = np.unique(items["pump"], return_index=True)
            for row, at_ms in zip(rows.tolist(), items["received_ms"][first].tolist(), strict=True):
                if row in self._unheard:
                    self._unheard.remove(row)
                    self._watch_from([row], at_ms)

    def _watch_from(self, rows: Sequence[int], at_ms: int) -> None:
        names = {row: self._fleet.pump_ids[row] for row in rows}
        self._watch.enter([(row, self._facts[row]) for row in rows], at_ms, names)

    def _evaluate(self, items: Items, held_from: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        decisions = on_batch(self._fleet, items, held_from, _NEVER_IMPATIENT_MS)
        admission = decisions.admission
        self.readings += len(decisions.stored)
        kept_back = np.flatnonzero(admission.stored & ~admission.evaluated)
        for index in kept_back.tolist():
            row = int(decisions.batch.rows[index])
            self._waiting.setdefault(row, []).append(decisions.batch.items[index : index + 1])
        publish(self._fleet, decisions)
        self._watch.heard(decisions.stored)  # a row is its own key here; what is repeated is not heard
        self._say(decisions)
        self._tell(decisions.folded.changes)
        for row in admission.from_store:
            self._from_waiting(row, self._fleet.ledger.account(row).may_evaluate)

    def _say(self, decisions: Decisions) -> None:
        """Let the watch know of clocks that are off and of readings that will never come."""
        batch = decisions.batch
        for row, position, offset_ms in decisions.offsets:
            at = np.flatnonzero((batch.rows == row) & (batch.items["position"] == position))[0]
            at_ms = int(batch.items["received_ms"][at])
            self._watch.said(at_ms, _clock_said(row, offset_ms, at_ms, position))
        for row, gaps in decisions.gaps.items():
            lost = frozenset(gap for gap in gaps if gap.lost)
            at_ms = int(batch.items["received_ms"][batch.rows == row].max())
            for gap in lost - self._lost.get(row, frozenset()):
                self._watch.said(at_ms, _lost_said(row, gap, at_ms))
            self._lost[row] = lost

    def _from_waiting(self, row: int, may_evaluate: int) -> None:
        waiting = np.concatenate(self._waiting.pop(row, [np.zeros(0, self._fleet.latest.dtype)]))
        waiting = waiting[np.argsort(waiting["position"])]
        due = waiting["position"] <= may_evaluate
        if not due.all():
            self._waiting[row] = [waiting[~due]]
        waiting = waiting[due & (waiting["position"] > self._fleet.ledger.evaluated[row])]
        folded = fold_copy(self._fleet, waiting, np.full(len(waiting), row, np.intp))
        publish_folded(self._fleet, folded)
        self._tell(folded.changes)

    def _tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            row = -1 if change.subject else self._fleet.row_of_key[change.pump]
            if change.condition is Condition.STALL and change.turn is not Turn.ROSE:
                self._watch.said(change.received_ms, _stall_said(row, stalled=change.turn is Turn.BEGAN))
            which = (row, change.subject, change.condition)
            if change.turn is Turn.ENDED:
                if which in self._open:
                    self._open.pop(which).ended_ms = change.at_ms
                continue
            priority, standing = self._ruled(change, row)
            if change.turn is Turn.ROSE and which in self._open:
                self._open[which].priority = max(priority, self._open[which].priority, key=lambda known: known.rank)
                continue
            if standing is Standing.OFF:
                continue
            finding = Finding(
                "" if row < 0 else self._fleet.pump_ids[row],
                change.condition,
                priority,
                change.began_ms,
                change.at_ms,
                change.received_ms,
                change.position,
                subject=change.subject,
                shadow=standing is Standing.SHADOW,
                inhibited=change.inhibited_by is not None,
                evidence=change.evidence,
            )
            self._open[which] = finding
            self.findings.append(finding)

    def _ruled(self, change: Change, row: int) -> tuple[Priority, Standing]:
        if row < 0:
            whose = Whose(DrugClass.UNKNOWN, change.subject.partition(":")[2], "")
        else:
            whose = Whose(self._facts[row].drug_class, self._facts[row].site, self._fleet.pump_ids[row])
        ladder = self._rulebook.ladder(change.condition, whose)
        return ladder[min(change.step, len(ladder)) - 1], self._rulebook.standing(change.condition, whose)

    def _enter(self, pumps: Sequence[tuple[str, PumpFacts]]) -> None:
        first = len(self._fleet)
        self._facts += [facts for _, facts in pumps]
        self._fleet.enter([PumpEntry(first + number, pump_id, facts) for number, (pump_id, facts) in enumerate(pumps)])
        self._unheard |= set(range(first, first + len(pumps)))


def _clock_said(row: int, offset_ms: int, at_ms: int, position: int) -> Said:
    return lambda watch: watch.clock(row, offset_ms, at_ms, position)


def _lost_said(row: int, gap: Gap, at_ms: int) -> Said:
    return lambda watch: watch.lost(row, gap.to_position - gap.from_position + 1, at_ms, gap.to_position)


def _stall_said(row: int, *, stalled: bool) -> Said:
    return lambda watch: watch.stalled(row, stalled=stalled)
