"""What would a rulebook have found in a stream of wire messages? The same pipeline, without broker, clock or store.

Arrival order does not matter: what comes after a hole waits until the hole closes or the stream ends.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from service.core.change import Change, Condition, Priority, Turn
from service.core.decode import decode
from service.core.fleet import Fleet, PumpEntry
from service.core.pipeline import fold_copy, on_batch, publish, publish_folded, take
from service.core.reading import DrugClass, Items
from service.core.rejection import Rejection
from service.core.rulebook import PumpFacts, Rulebook

_NEVER_IMPATIENT_MS: Final = 0  # a clock that stands still ends no patience
_UNREGISTERED: Final = PumpFacts(
    DrugClass.UNKNOWN, flow_sensor=False, reservoir_sensor=False, capacity_ml=20.0, interval_s=60.0
)


class WireMessage(msgspec.Struct):
    """One line of a stream: `{"topic": …, "received_ms": …, "payload": {…}}`."""

    topic: bytes
    received_ms: int
    payload: bytes


class Finding(msgspec.Struct, omit_defaults=False):
    """One alert that would have been raised. Times are pump time in milliseconds; `ended_ms` is None while it lasts."""

    pump_id: str
    condition: Condition
    priority: Priority
    began_ms: int
    detected_ms: int
    received_ms: int
    detected_position: int
    ended_ms: int | None = None
    evidence: dict[str, float | int | str] = {}


class _Line(msgspec.Struct):
    topic: str
    received_ms: int
    payload: msgspec.Raw


_decode_line: Final = msgspec.json.Decoder(_Line).decode


def read_line(line: bytes) -> WireMessage:
    """Raise msgspec.DecodeError, with what is wrong, where `line` is no wire message."""
    found = _decode_line(line)
    return WireMessage(found.topic.encode(), found.received_ms, bytes(found.payload))


class Backtest:
    def __init__(self, rulebook: Rulebook, registered: Iterable[tuple[str, PumpFacts]]) -> None:
        self._rulebook = rulebook
        self._fleet = Fleet(rulebook)
        self._facts: list[PumpFacts] = []
        self._waiting: dict[int, list[Items]] = {}
        self._open: dict[tuple[int, Condition], Finding] = {}
        self.findings: list[Finding] = []
        self.rejections: list[Rejection] = []
        self.readings = 0
        self._enter(list(registered))

    def feed(self, messages: Sequence[WireMessage]) -> None:
        """Take the next messages of the stream."""
        decoded = decode(messages, self._fleet.row_of)
        if decoded.unknown_pumps:
            self._enter([(pump_id.decode(), _UNREGISTERED) for pump_id in decoded.unknown_pumps])
            decoded = decode(messages, self._fleet.row_of)
        self.rejections += decoded.rejections
        while len(decoded.items):
            now, decoded.items = take(decoded)
            self._evaluate(now, decoded.held_from)

    def finish(self) -> list[Finding]:
        """Evaluate what still waits behind a hole, and return every finding in the order of detection."""
        for row in sorted(self._waiting):
            self._from_waiting(row, np.iinfo(np.int64).max)
        return sorted(
            self.findings, key=lambda finding: (finding.received_ms, finding.pump_id, finding.detected_position)
        )

    def _evaluate(self, items: Items, held_from: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        decisions = on_batch(self._fleet, items, held_from, _NEVER_IMPATIENT_MS)
        admission = decisions.admission
        self.readings += len(decisions.stored)
        kept_back = np.flatnonzero(admission.stored & ~admission.evaluated)
        for index in kept_back.tolist():
            row = int(decisions.batch.rows[index])
            self._waiting.setdefault(row, []).append(decisions.batch.items[index : index + 1])
        publish(self._fleet, decisions)
        self._tell(decisions.folded.changes)
        for row in admission.from_store:
            self._from_waiting(row, self._fleet.ledger.account(row).may_evaluate)

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
            row = self._fleet.row_of_key[change.pump]
            which = (row, change.condition)
            if change.turn is Turn.ENDED:
                if which in self._open:
                    self._open.pop(which).ended_ms = change.at_ms
                continue
            priority = self._rulebook.priority(change.condition, self._facts[row].drug_class, change.step)
            if change.turn is Turn.ROSE and which in self._open:
                self._open[which].priority = max(priority, self._open[which].priority, key=lambda known: known.rank)
                continue
            finding = Finding(
                self._fleet.pump_ids[row],
                change.condition,
                priority,
                change.began_ms,
                change.at_ms,
                change.received_ms,
                change.position,
                evidence=change.evidence,
            )
            self._open[which] = finding
            self.findings.append(finding)

    def _enter(self, pumps: Sequence[tuple[str, PumpFacts]]) -> None:
        first = len(self._fleet)
        self._facts += [facts for _, facts in pumps]
        self._fleet.enter([PumpEntry(first + number, pump_id, facts) for number, (pump_id, facts) in enumerate(pumps)])
