"""What becomes of pumps that send again and again what is known? Counted, sampled, told; and no other pump waits."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from service.core.decode import Decoded, pump_id_of
from service.core.fleet import Fleet
from service.core.pipeline import Decisions
from service.core.rejection import Reason, Rejection
from service.core.repeats import Idle, Repeats, Told, print_of
from service.core.sequence import MOST_SPANS, NOTHING
from service.logs import tell
from service.metrics import Metrics
from service.ports import RawMessage


class Repeating:
    def __init__(self, fleet: Fleet, metrics: Metrics) -> None:
        self._fleet, self._metrics = fleet, metrics
        self._repeats = Repeats()
        self.limited = self._repeats.limited  # of their messages some are not read
        self._sampled: set[int] = set()  # of the batch under way

    def samples(self, messages: Sequence[RawMessage], decoded: Decoded) -> list[tuple[RawMessage, Rejection]]:
        """The unread messages of a batch that are kept aside: one an hour of each pump. The rest is only counted."""
        kept = []
        self._sampled.clear()
        for index in decoded.unread:
            message = messages[index]
            pump_id = pump_id_of(message.topic)
            if pump_id in self.limited and self._repeats.is_sample(pump_id, message.received_ms):
                many = self.limited[pump_id].messages
                detail = f"brought nothing new like {many} messages before it; others like it are only counted"
                kept.append((message, Rejection(index, Reason.REPEATED, detail)))
                self._sampled.add(index)
        self._metrics.quarantined.labels(Reason.REPEATED).inc(len(decoded.unread) - len(kept))
        return kept

    def learn(
        self, messages: Sequence[RawMessage], decoded: Decoded, decisions: Decisions, *, any_rejected: bool
    ) -> None:
        """The batch is committed: count what of it brought nothing new."""
        items, admission = decisions.batch.items, decisions.admission
        if not (admission.duplicates or decoded.unread or any_rejected or decoded.statuses):
            return
        brings = np.zeros(len(messages), np.bool_)
        brings[items["message"][admission.stored]] = True
        readings = np.bincount(items["message"], minlength=len(messages))
        # Of these, what would make one hole more is not taken, and may be later.
        crowded = {
            self._fleet.pump_ids[row].encode()
            for row, account in admission.accounts.items()
            if len(account.islands) >= MOST_SPANS
        }
        before = set(self.limited)
        unread = set(decoded.unread)
        self._repeats.note(self._idle(messages, np.flatnonzero(~brings).tolist(), readings, unread, crowded))
        for pump_id in self.limited.keys() - before:
            tell("pump_repeats_itself", pump=pump_id.decode())
        rows = {self._fleet.row_of.get(pump_id_of(messages[index].topic), NOTHING) for index in unread}
        # They may have missed a receipt, like those of whom something was read.
        self._fleet.receipted[sorted(rows - {NOTHING})] = NOTHING

    def news(self, now_ms: int) -> list[Told]:
        """What is to be written of the pumps that repeat themselves, since this was last asked."""
        told = self._repeats.told()
        self._repeats.forget(now_ms)
        return told

    def _idle(
        self,
        messages: Sequence[RawMessage],
        indexes: Sequence[int],
        readings: npt.NDArray[np.intp],
        unread: set[int],
        crowded: set[bytes],
    ) -> Iterator[Idle]:
        for index in indexes:
            topic, payload, received_ms = messages[index][1:]
            pump_id = pump_id_of(topic)
            if not pump_id:
                continue
            if index in unread:
                yield Idle(pump_id, None, 0, received_ms, unread=index not in self._sampled)
            else:
                known_by = None if pump_id in crowded else print_of(topic, payload)
                yield Idle(pump_id, known_by, int(readings[index]), received_ms)
