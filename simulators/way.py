"""What becomes of a pump's messages on their way to the service? Silence, outages, repeats, disorder."""

from collections.abc import Iterable
from typing import Final

from simulators.faults import HOUR_MS, ON_THE_WAY, Fault, Kind
from simulators.simulation import Message

REPEATED_AFTER_MS: Final = 1_500
LATE_BY_MS: Final = (0, 150_000, 45_000, 0, 200_000)  # of messages in turn: later ones overtake them
REPLAYED_MS: Final = HOUR_MS
UPLOAD_EVERY_MS: Final = 20  # a backlog is sent oldest first, and what is measured meanwhile after it


class Way:
    """The way of a fleet's messages as a stream has it. `stamp_ms` of what it yields is when a message is sent."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults: dict[int, list[Fault]] = {}
        self._carried: dict[int, int] = {}
        self._held_from: dict[int, tuple[int, int]] = {}
        self._sent_ms: dict[int, int] = {}
        for fault in faults:
            if fault.kind in ON_THE_WAY:
                self._faults.setdefault(fault.pump, []).append(fault)

    def carry(self, message: Message) -> list[Message]:
        """What arrives of one message, and when: nothing, once, or more than once."""
        faults = self._faults.get(message.pump)
        if faults is None:
            return [message]
        sent = [message]
        for fault in faults:
            sent = [each for one in sent for each in self._through(fault, message.stamp_ms, one)]
        return sent

    def _through(self, fault: Fault, measured_ms: int, message: Message) -> list[Message]:
        if fault.kind is Kind.REPLAY:
            again = fault.onset_ms - REPLAYED_MS <= measured_ms < fault.onset_ms
            return [message, message._replace(stamp_ms=measured_ms + REPLAYED_MS)] if again else [message]
        if fault.kind is Kind.REORDER:
            return [self._out_of_order(fault, measured_ms, message)]
        if fault.kind is Kind.DUPLICATE:
            again = fault.is_on(measured_ms)
            return [message, message._replace(stamp_ms=message.stamp_ms + REPEATED_AFTER_MS)] if again else [message]
        return self._once_in_reach(fault, measured_ms, message)

    def _once_in_reach(self, fault: Fault, measured_ms: int, message: Message) -> list[Message]:
        if fault.is_on(measured_ms) and fault.end_ms is None:
            return []
        ready_ms = fault.end_ms if fault.is_on(measured_ms) and fault.end_ms is not None else message.stamp_ms
        sent_ms = self._sent_ms[fault.pump] = max(ready_ms, self._sent_ms.get(fault.pump, 0) + UPLOAD_EVERY_MS)
        return [message._replace(stamp_ms=sent_ms)]

    def _out_of_order(self, fault: Fault, measured_ms: int, message: Message) -> Message:
        """Some come late; as long as one may be on its way, the pump says that it still holds the first of them."""
        if fault.is_on(measured_ms):
            number = self._carried[fault.pump] = self._carried.get(fault.pump, -1) + 1
            held_from = self._held_from.setdefault(fault.pump, (message.boot, message.seq))
            late_ms = LATE_BY_MS[number % len(LATE_BY_MS)]
            return message._replace(stamp_ms=message.stamp_ms + late_ms, held_from=held_from)
        if fault.end_ms is not None and 0 <= measured_ms - fault.end_ms < max(LATE_BY_MS):
            return message._replace(held_from=self._held_from.get(fault.pump))
        return message
