"""What is exported of a pump? Its readings or events of a span, in as little memory for a year as for an hour.

Page by page, each found by its key, and no transaction is open between them: a slow reader is in nobody's way.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import asyncpg

from service.core.reading import Mode, boot_of, seq_of
from service.core.sheet import lines
from service.postgres import queries

ROWS_AT_ONCE: Final = 5_000
BEGINNING: Final = datetime(1969, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 1, 1, tzinfo=UTC)

Acquire = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]


class What(StrEnum):
    READINGS = "readings"
    EVENTS = "events"


HEADERS: Final = {
    What.READINGS: (
        "pump_id",
        "measured_at",
        "received_at",
        "boot",
        "seq",
        "mode",
        "program_ml_d",
        "flow_ml_d",
        "reservoir_ml",
        "battery_v",
        "delivered_ul",
    ),
    What.EVENTS: ("pump_id", "measured_at", "received_at", "boot", "seq", "type", "body"),
}
_MODES: Final = {mode.value: mode.name.lower() for mode in Mode}
_DECIMALS: Final = (
    ("program_ml_d", 4),
    ("flow_ml_d", 4),
    ("reservoir_ml", 3),
    ("battery_v", 3),
    ("delivered_ul", 2),
)

# Events in the order of time; the page before ended at ($4, $5).
_EVENTS: Final = """
SELECT measured_at, received_at, position, type, body::text AS body
FROM event
WHERE pump = $1 AND measured_at >= $2 AND measured_at < $3 AND (measured_at, position) > ($4, $5)
ORDER BY measured_at, position LIMIT $6
"""


async def exported(
    acquire: Acquire,
    key: int,
    pump_id: str,
    what: What,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncIterator[str]:
    """CSV in pieces, the header first. `acquire` gives a connection for one page."""
    yield lines([HEADERS[what]])
    after = (since or BEGINNING, -1)
    while True:
        async with acquire() as connection:
            rows = await _page(connection, what, key, since or BEGINNING, until or END, after)
        if rows:
            yield lines(_told(pump_id, what, rows))
            after = rows[-1]["measured_at"], rows[-1]["position"]
        if len(rows) < ROWS_AT_ONCE:
            return


async def _page(
    connection: asyncpg.Connection, what: What, key: int, since: datetime, until: datetime, after: tuple[datetime, int]
) -> list[asyncpg.Record]:
    if what is What.READINGS:
        return await queries.readings(connection, key, since=since, until=until, after=after, limit=ROWS_AT_ONCE)
    rows: list[asyncpg.Record] = await connection.fetch(_EVENTS, key, since, until, *after, ROWS_AT_ONCE)
    return rows


def _told(pump_id: str, what: What, rows: list[asyncpg.Record]) -> Iterator[list[object]]:
    for row in rows:
        position = row["position"]
        said = [pump_id, row["measured_at"], row["received_at"], boot_of(position), seq_of(position)]
        yield said + (_values(row) if what is What.READINGS else [row["type"], row["body"]])


def _values(row: Mapping[str, Any]) -> list[object]:
    numbers = [None if row[name] is None else round(row[name], decimals) for name, decimals in _DECIMALS]
    return [_MODES[row["mode"]], *numbers]
