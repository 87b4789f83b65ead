"""What becomes of pumps that no list has? They are entered, and what they said is read again; or it is kept aside."""

from collections.abc import Mapping, Sequence

from service.core.decode import Decoded, decode
from service.core.fleet import Fleet
from service.core.rejection import Reason, Rejection
from service.core.repeats import Repeater
from service.logs import tell
from service.loops.in_force import put_in_force
from service.ports import Clock, IngestStore, RawMessage


class Enrolment:
    def __init__(
        self, store: IngestStore, fleet: Fleet, clock: Clock, limited: Mapping[bytes, Repeater], *, is_open: bool
    ) -> None:
        self._store, self._fleet, self._clock, self._limited = store, fleet, clock, limited
        self._is_open = is_open

    async def with_the_new(self, messages: Sequence[RawMessage], decoded: Decoded) -> Decoded:
        """The batch, with what its unknown pumps said where they are known now."""
        unknown = decoded.unknown_pumps
        if self._fleet.row_of.keys() >= unknown.keys():  # by now: it was read while they were entered
            return decode(messages, self._fleet.row_of, self._limited)
        if not self._is_open:
            for pump_id, indexes in unknown.items():
                decoded.rejections += [
                    Rejection(index, Reason.ENROLMENT_CLOSED, f"{pump_id.decode()} is not registered")
                    for index in indexes
                ]
            return decoded
        first = decode([messages[indexes[0]] for indexes in unknown.values()], dict.fromkeys(unknown, 0))
        simulated = [bool(said) for said in first.simulated]
        entries = await self._store.enrol([pump_id.decode() for pump_id in unknown], simulated)
        await put_in_force(self._store, self._fleet, entries, self._clock())
        tell("pumps_enrolled", count=len(entries), first=entries[0].pump_id)
        return decode(messages, self._fleet.row_of, self._limited)
