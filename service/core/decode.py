"""What did the pumps say? A batch of topics and bytes becomes the columns of readings and events.

One Python loop reads and packs each message; everything after it works on columns of the whole batch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from service.core import boots
from service.core.columns import Columns
from service.core.payload import (
    EVENT_TYPE,
    READ,
    UNREADABLE,
    VALUE_KEY,
    Event,
    ProgramChanged,
    Read,
    Status,
    Telemetry,
    UnreadableError,
    code_of,
    reason_of,
    second_of,
)
from service.core.reading import (
    ITEM,
    MAX_MESSAGE_BYTES,
    SEQ_BITS,
    Items,
    Mode,
    boot_of,
    position_of,
    round_to_stored,
)
from service.core.rejection import Reason, Rejection, one_line
from service.core.repeats import Repeater
from service.core.validate import forgotten_too_soon, implausible

TOPIC: Final = re.compile(rb"(?:shard/[0-9]{1,3}/)?pumps/v1/([A-Za-z0-9_-]{1,64})/([^/]*)", re.DOTALL)
MAX_TOPIC_BYTES: Final = 128  # a well-formed one is shorter
TOPICS_REMEMBERED: Final = 1 << 17
UNKNOWN_PUMP: Final = -1
NOT_SAID: Final = -1


class Message(Protocol):
    """What came from the broker, as far as decoding needs it."""

    @property
    def topic(self) -> bytes: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def received_ms(self) -> int: ...


@dataclass(slots=True)
class Decoded:
    """A batch, understood. Message indexes are those of the input.

    `items` is in message order, rounded to stored precision; events are rows whose `kind` is not READING, with mode -1
    where they say none and their known keys in `bodies` as JSON. `measured_ms` is still the pump's own clock.
    `unknown_pumps` holds the messages that are sound but whose pump is not registered; they appear nowhere else.
    """

    items: Items
    held_from: npt.NDArray[np.int64]  # one a message: a position, -1 where there is none
    simulated: npt.NDArray[np.bool_]  # one a message
    bodies: dict[int, bytes]
    statuses: list[tuple[int, bool]]
    unknown_pumps: dict[bytes, list[int]]
    rejections: list[Rejection]
    unread: list[int] = field(default_factory=list)  # messages that are known to bring nothing new
    ends_ms: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """One a message: the device time of its last item."""


def decode(
    messages: Sequence[Message], pump_of: Mapping[bytes, int], limited: Mapping[bytes, Repeater] = MappingProxyType({})
) -> Decoded:
    """Read `messages`; `pump_of` gives the index of each registered pump by its id, `limited` those of which some are
    not read again.

    Raises nothing, whatever the bytes are: what cannot be understood or cannot be true is in `rejections`.
    """
    decoding = Decoding(pump_of, limited)
    decoding.read(messages)
    return decoding.finished()


class Decoding:
    """A batch that is understood piece by piece, as it comes."""

    def __init__(self, pump_of: Mapping[bytes, int], limited: Mapping[bytes, Repeater] = MappingProxyType({})) -> None:
        self.messages: list[Message] = []
        self._pump_of, self._limited = pump_of, limited
        self._unread: list[int] = []
        self._telemetry = Columns()
        self._events: list[tuple[int, int, Event]] = []
        self._statuses: list[tuple[int, bool]] = []
        self._unknown_pumps: dict[bytes, list[int]] = {}
        self._rejections: list[Rejection] = []

    def read(self, messages: Sequence[Message]) -> None:
        """Take these in, after those before."""
        telemetry, events, pump_of, limited = self._telemetry, self._events, self._pump_of, self._limited
        for index, message in enumerate(messages, len(self.messages)):
            try:
                pump_id, read = _route(message.topic)
                payload = message.payload
                if pump_id in limited and limited[pump_id].has(message.topic, payload, message.received_ms):
                    self._unread.append(index)
                    continue
                if not 0 < len(payload) <= MAX_MESSAGE_BYTES:
                    raise _wrong_size(payload)
                said = read[payload[0]](payload)
                pump = pump_of.get(pump_id, UNKNOWN_PUMP)
                if isinstance(said, Telemetry):
                    telemetry.add(index, pump, said)
                elif isinstance(said, Event):
                    events.append((index, pump, said))
                elif isinstance(said, Status):
                    self._statuses.append((index, said.online))
            except UNREADABLE as error:
                self._rejections.append(Rejection(index, reason_of(error), one_line(str(error))))
                continue
            if pump == UNKNOWN_PUMP:
                self._unknown_pumps.setdefault(pump_id, []).append(index)
        self.messages += messages

    def finished(self) -> Decoded:
        """All of it as columns. Nothing more is read afterwards."""
        messages, events = self.messages, self._events
        batch = Decoded(
            items=np.empty(0, ITEM),
            held_from=np.full(len(messages), NOT_SAID, np.int64),
            ends_ms=np.zeros(len(messages), np.int64),
            simulated=np.zeros(len(messages), bool),
            bodies={index: msgspec.json.encode(event, order="deterministic") for index, _, event in events},
            statuses=self._statuses,
            unknown_pumps=self._unknown_pumps,
            rejections=self._rejections,
            unread=self._unread,
        )
        _add_rows(batch, self._telemetry, events)
        batch.rejections += forgotten_too_soon(batch.items, batch.held_from)
        if batch.rejections or batch.unknown_pumps:
            _leave_out(batch)
        received_ms = np.fromiter(map(attrgetter("received_ms"), messages), np.int64, len(messages))
        batch.items["received_ms"] = received_ms[batch.items["message"]]
        batch.items["measured_ms"] = batch.items["device_ms"]
        batch.ends_ms[batch.items["message"]] = batch.items["device_ms"]  # of a message's rows the last one stays
        round_to_stored(batch.items)
        return batch


def reject_impossible_boots(batch: Decoded, through: npt.NDArray[np.int64]) -> None:
    """Keep messages aside that claim more restarts than can have been. `through`: the ledger's, by the pumps' index."""
    impossible = boots.impossible(through[batch.items["pump"]], batch.items["position"])
    if not impossible.any():
        return
    messages, at = np.unique(batch.items["message"][impossible], return_index=True)
    positions = batch.items["position"][impossible][at]
    batch.rejections += [
        Rejection(message, Reason.IMPLAUSIBLE_BOOT, f"boot {boot_of(position)} is too far ahead of what was heard")
        for message, position in zip(messages.tolist(), positions.tolist(), strict=True)
    ]
    _leave_out(batch)


def pump_id_of(topic: bytes) -> bytes:
    """Whose the topic is; empty where it names no pump."""
    match = TOPIC.fullmatch(topic) if len(topic) <= MAX_TOPIC_BYTES else None
    return match[1] if match else b""


def _route(topic: bytes) -> tuple[bytes, list[Read]]:
    """Return the pump's id, and how payloads of this topic are read."""
    if len(topic) > MAX_TOPIC_BYTES:  # never remembered: a hostile one may be long
        raise UnreadableError(Reason.BAD_TOPIC, f"a topic of {len(topic)} bytes")
    return _route_of_short(topic)


@lru_cache(maxsize=TOPICS_REMEMBERED)
def _route_of_short(topic: bytes) -> tuple[bytes, list[Read]]:
    match = TOPIC.fullmatch(topic)
    if match is None:
        raise UnreadableError(Reason.BAD_TOPIC, "not pumps/v1/{pump_id}/{kind}")
    pump_id, kind = match.groups()
    if kind not in READ:
        raise UnreadableError(Reason.UNKNOWN_KIND, f"{kind!r} is none of telemetry, event and status")
    return pump_id, READ[kind]


def _wrong_size(payload: bytes) -> UnreadableError:
    if payload:
        return UnreadableError(Reason.TOO_LARGE, f"{len(payload)} bytes, more than {MAX_MESSAGE_BYTES}")
    return UnreadableError(Reason.TRUNCATED, "the payload is empty")


def _add_rows(batch: Decoded, telemetry: Columns, events: Sequence[tuple[int, int, Event]]) -> None:
    parts = []
    for rows, heads in telemetry.unpacked():
        batch.rejections += implausible(rows)
        rows.reshape(len(heads), -1)["delivered_ul"][~heads["says_delivered"]] = np.nan
        batch.held_from[heads["message"]] = heads["held_boot"] << SEQ_BITS | heads["held_seq"]
        batch.simulated[heads["message"]] = heads["simulated"]
        parts.append(rows)
    if events:
        parts.append(_rows_of_events(events))
    for index, _, event in events:
        batch.held_from[index] = position_of(*event.held_from)
        batch.simulated[index] = event.simulated
    if len(parts) == 1:
        batch.items = parts[0]
    elif parts:
        rows = np.concatenate(parts)
        batch.items = rows[np.argsort(rows["message"], kind="stable")]


def _rows_of_events(events: Sequence[tuple[int, int, Event]]) -> Items:
    rows = np.zeros(len(events), ITEM)
    for name in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "delivered_ul", "value", "second"):
        rows[name] = np.nan
    for row, (index, pump, event) in zip(rows, events, strict=True):
        row["pump"], row["message"] = pump, index
        row["kind"] = EVENT_TYPE[type(event)]
        row["mode"] = Mode[event.mode.upper()] if isinstance(event, ProgramChanged) else NOT_SAID
        row["position"] = position_of(event.boot, event.seq)
        row["device_ms"] = event.time_ms
        if type(event) in VALUE_KEY:
            row["value"] = getattr(event, VALUE_KEY[type(event)])
        row["second"], row["code"] = second_of(event), code_of(event)
    return rows


def _leave_out(batch: Decoded) -> None:
    """Take rejected messages, and those of unknown pumps, out of everything that speaks of sound ones."""
    first = {rejection.message: rejection for rejection in reversed(batch.rejections)}
    batch.rejections = [first[message] for message in sorted(first)]
    batch.unknown_pumps = {
        pump_id: sound
        for pump_id, indexes in batch.unknown_pumps.items()
        if (sound := [index for index in indexes if index not in first])
    }
    outside = list({*first}.union(*batch.unknown_pumps.values()))
    kept = np.ones(len(batch.held_from), bool)
    kept[outside] = False
    batch.items = batch.items[kept[batch.items["message"]]]
    batch.held_from[outside] = NOT_SAID
    batch.simulated[outside] = False
    batch.bodies = {index: body for index, body in batch.bodies.items() if kept[index]}
    batch.statuses = [(index, online) for index, online in batch.statuses if kept[index]]
