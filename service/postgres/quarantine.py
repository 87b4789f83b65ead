"""Where do messages go that were not taken? Aside, with their first bytes and a reason; so many a pump a day.

They are listed and shown by `service.postgres.queries`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg

from service.core.decode import TOPIC
from service.core.rejection import Rejection
from service.ports import RawMessage

KEPT_A_PUMP_A_DAY: Final = 1000
SAME_WITHIN: Final = timedelta(minutes=10)
REDELIVERED_WITHIN: Final = timedelta(minutes=1)
KEPT_BYTES: Final = 64 * 1024
KEPT_TOPIC_CHARACTERS: Final = 1024
NO_PUMP: Final = ""

_COLUMNS: Final = ("received_at", "topic", "reason", "detail", "length", "sha256", "head")
# Counts messages of some pumps on some days, and says how many there are now. Sorted: two ingesters cannot deadlock.
_COUNT: Final = """
    INSERT INTO quarantine_day AS counted (pump_id, day, messages)
    SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[]) AS given (pump_id, day, messages) ORDER BY pump_id, day
    ON CONFLICT (pump_id, day) DO UPDATE SET messages = counted.messages + excluded.messages
    RETURNING pump_id, day, messages
"""


async def keep(
    connection: asyncpg.Connection,
    rejected: Sequence[tuple[RawMessage, Rejection]],
    kept_a_day: int = KEPT_A_PUMP_A_DAY,
    *,
    reconnected_at: datetime | None = None,
) -> None:
    """Keep `rejected` aside, in the caller's transaction. What exceeds `kept_a_day` of a pump is only counted.

    A message that the broker delivers again, after the connection was lost, counts once: it has the topic and bytes of
    one that was kept a few minutes before `reconnected_at`.
    """
    if reconnected_at is not None:
        rejected = await _new(connection, rejected, reconnected_at)
    if not rejected:
        return
    room = await _room(connection, Counter(_pump_and_day(message) for message, _ in rejected), kept_a_day)
    rows = []
    for message, rejection in rejected:
        whose = _pump_and_day(message)
        room[whose] -= 1
        if room[whose] >= 0:
            rows.append(_row(message, rejection))
    if rows:
        await connection.copy_records_to_table("quarantine", records=rows, columns=_COLUMNS)


# What was kept in a span of time, of messages of some hashes, and how many of each.
_SEEN: Final = """
    SELECT topic, sha256, count(*) AS messages FROM quarantine
    WHERE sha256 = ANY ($1::bytea[]) AND received_at >= $2 AND received_at < $3 GROUP BY 1, 2
"""


async def _new(
    connection: asyncpg.Connection, rejected: Sequence[tuple[RawMessage, Rejection]], reconnected_at: datetime
) -> list[tuple[RawMessage, Rejection]]:
    hashes = [hashlib.sha256(message.payload).digest() for message, _ in rejected]
    rows = await connection.fetch(_SEEN, list(set(hashes)), reconnected_at - SAME_WITHIN, reconnected_at)
    seen = {(row["topic"], row["sha256"]): row["messages"] for row in rows}
    new = []
    for each, digest in zip(rejected, hashes, strict=True):
        which = (_readable(each[0].topic), digest)
        if seen.get(which, 0) and _received_at(each[0]) - reconnected_at < REDELIVERED_WITHIN:
            seen[which] -= 1
        else:
            new.append(each)
    return new


async def _room(
    connection: asyncpg.Connection, arrived: Counter[tuple[str, date]], kept_a_day: int
) -> dict[tuple[str, date], int]:
    """Count what arrived, and return how many more of each pump and day may be kept."""
    pump_ids, days = zip(*arrived, strict=True)
    rows = await connection.fetch(_COUNT, pump_ids, days, list(arrived.values()))
    return {(pump_id, day): kept_a_day - (messages - arrived[pump_id, day]) for pump_id, day, messages in rows}


def _pump_and_day(message: RawMessage) -> tuple[str, date]:
    match = TOPIC.fullmatch(message.topic)
    return match[1].decode() if match else NO_PUMP, _received_at(message).date()


def _received_at(message: RawMessage) -> datetime:
    return datetime.fromtimestamp(message.received_ms / 1000, UTC)


def _row(message: RawMessage, rejection: Rejection) -> tuple[datetime, str, str, str, int, bytes, bytes]:
    return (
        _received_at(message),
        _readable(message.topic),
        rejection.reason,
        rejection.detail,
        len(message.payload),
        hashlib.sha256(message.payload).digest(),
        message.payload[:KEPT_BYTES],
    )


def _readable(topic: bytes) -> str:
    """`topic` as text that PostgreSQL can hold: what is not UTF-8, and control characters, as backslash escapes."""
    text = topic[:KEPT_TOPIC_CHARACTERS].decode(errors="backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda control: f"\\x{ord(control[0]):02x}", text)
