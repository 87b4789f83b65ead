"""How do readings get in and out of the store? As binary COPY, built from and parsed into NumPy columns."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg
import numpy as np
import numpy.typing as npt

from service.core.reading import ITEM, EventType, Items, Mode, those
from service.ports import Run

_EPOCH_2000_US: Final = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"

_COLUMNS: Final = (
    ("measured_at", ">i8"),
    ("position", ">i8"),
    ("received_after_ms", ">i8"),
    ("pump", ">i4"),
    ("program_100nl_d", ">i4"),
    ("flow_100nl_d", ">i4"),
    ("reservoir_ul", ">i4"),
    ("battery_mv", ">i2"),
    ("mode", ">i2"),
    ("delivered_10nl", ">i8"),
)
# What is stored as a whole number, and how many of it make one of what rules and readers see.
_SCALED: Final = {
    "program_100nl_d": ("program_ml_d", 1e4),
    "flow_100nl_d": ("flow_ml_d", 1e4),
    "reservoir_ul": ("reservoir_ml", 1e3),
    "battery_mv": ("battery_v", 1e3),
    "delivered_10nl": ("delivered_ul", 1e2),
}
COLUMNS: Final = [name for name, _ in _COLUMNS]
_ROWS_AT_ONCE: Final = 2_000


def _row(columns: tuple[tuple[str, str], ...]) -> np.dtype[np.void]:
    """One tuple of the binary COPY format: a count, then length and value of each field, without padding."""
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for name, kind in columns:
        fields += [(f"{name}_length", ">i4"), (name, kind)]
    return np.dtype(fields)


def _blank(row: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """One row of which only the values are missing; a column that `row` has not is NULL."""
    blank = np.zeros(1, row)
    blank["count"] = len(_COLUMNS)
    for name, kind in _COLUMNS:
        blank[f"{name}_length"] = np.dtype(kind).itemsize if name in (row.names or ()) else -1
    return blank


_FULL: Final = _blank(_row(_COLUMNS))
_WITHOUT_DELIVERED: Final = _blank(np.dtype([*_row(_COLUMNS[:-1]).descr, ("delivered_10nl_length", ">i4")]))


# Which positions of a pump are stored within a span of both positions and time; events by position alone.
_STORED_AMONG: Final = """
SELECT r.pump, r.position
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    AS run (pump, first, last, since, until)
CROSS JOIN LATERAL (
    SELECT pump, position FROM reading
    WHERE reading.pump = run.pump AND measured_at BETWEEN run.since AND run.until
        AND position BETWEEN run.first AND run.last
    UNION ALL
    SELECT pump, position FROM event WHERE event.pump = run.pump AND position BETWEEN run.first AND run.last
) AS r
"""


async def stored_among(connection: asyncpg.Connection, runs: Sequence[Run]) -> set[tuple[int, int]]:
    columns = list(zip(*runs, strict=True))
    rows = await connection.fetch(_STORED_AMONG, *columns) if runs else []
    return {(row["pump"], row["position"]) for row in rows}


async def copy_in(connection: asyncpg.Connection, readings: Items, table: str = "stored_reading") -> None:
    """Copy `readings` (rounded to stored precision, `pump` being the database's key) straight into a table.

    Raises UniqueViolationError where one is stored already; the ledger should have known.
    """
    if not len(readings):
        return
    await connection.copy_to_table(table, source=_stream(readings), format="binary", columns=COLUMNS)


async def _stream(readings: Items) -> AsyncIterator[bytes]:
    """In pieces: the server takes one in while we make the next, and none leaves the processor's cache."""
    says_delivered = ~np.isnan(readings["delivered_ul"])
    yield _HEADER
    for which, blank in ((says_delivered, _FULL), (~says_delivered, _WITHOUT_DELIVERED)):
        some = those(readings, which)
        for first in range(0, len(some), _ROWS_AT_ONCE):
            yield _encode(some[first : first + _ROWS_AT_ONCE], blank)
    yield _TRAILER


def _encode(readings: Items, blank: npt.NDArray[np.void]) -> bytes:
    table = np.repeat(blank, len(readings))
    for name, _ in _COLUMNS:
        if name not in (table.dtype.names or ()):
            continue
        if name == "measured_at":
            table[name] = readings["measured_ms"] * 1000 - _EPOCH_2000_US
        elif name == "received_after_ms":
            table[name] = readings["received_ms"] - readings["measured_ms"]
        elif name in _SCALED:
            value, scale = _SCALED[name]
            table[name] = np.rint(readings[value] * scale)
        else:
            table[name] = readings[name]
    return table.tobytes()


_STORED: Final = _row(
    (
        ("pump", ">i4"),
        ("position", ">i8"),
        ("kind", ">i2"),
        ("mode", ">i2"),
        ("measured_at", ">i8"),
        ("received_at", ">i8"),
        ("program_ml_d", ">f8"),
        ("flow_ml_d", ">f8"),
        ("reservoir_ml", ">f8"),
        ("battery_v", ">f8"),
        ("delivered_ul", ">f8"),
        ("value", ">f8"),
        ("second", ">f8"),
        ("code", ">i2"),
    )
)

_KINDS: Final = " ".join(f"WHEN '{kind.name.lower()}' THEN {kind.value}" for kind in EventType)
_MODES: Final = " ".join(f"WHEN '{mode.name.lower()}' THEN {mode.value}" for mode in Mode)

READING_VALUES: Final = """
    r.pump, r.position, 0::smallint, r.mode, r.measured_at, r.received_at,
    r.program_ml_d::float8, r.flow_ml_d::float8, r.reservoir_ml::float8, r.battery_v::float8,
    coalesce(r.delivered_ul, 'NaN'), 'NaN'::float8, 'NaN'::float8, (-1)::smallint
"""
EVENT_VALUES: Final = f"""
    e.pump, e.position, (CASE e.type {_KINDS} END)::smallint,
    (CASE e.body->>'mode' {_MODES} ELSE -1 END)::smallint, e.measured_at, e.received_at,
    'NaN', 'NaN', 'NaN', 'NaN', 'NaN', coalesce(e.value, 'NaN'), coalesce(e.second, 'NaN'), e.code
"""
# What each of some pumps measured and did after a position, in order. A position's time is at most a day before that of
# an earlier one (core/clocks.py), so the time bound lets old partitions be left alone.
_READ_BACK_OF: Final = f"""
    WITH wanted AS (
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[]) AS wanted (pump, after, since)
    )
    SELECT {READING_VALUES}
    FROM wanted CROSS JOIN LATERAL (
        SELECT * FROM reading
        WHERE reading.pump = wanted.pump AND position > wanted.after
            AND measured_at >= wanted.since - interval '1 day' AND measured_at >= $4::timestamptz
        {{fence}}
    ) AS r
    UNION ALL
    SELECT {EVENT_VALUES}
    FROM wanted JOIN event e ON e.pump = wanted.pump AND e.position > wanted.after
    ORDER BY 1, 2
"""
_READ_BACK: Final = _READ_BACK_OF.format(fence="")
# By the key, pump after pump: whole days joined take as long for one pump as for all.
_READ_BACK_FEW: Final = _READ_BACK_OF.format(fence="OFFSET 0")
_FEW: Final = 100
_MEASURED_BETWEEN: Final = f"""
    SELECT {READING_VALUES} FROM reading r WHERE r.measured_at >= $1 AND r.measured_at < $2
    UNION ALL
    SELECT {EVENT_VALUES} FROM event e WHERE e.measured_at >= $1 AND e.measured_at < $2
    ORDER BY 1, 2
"""

BEGINNING: Final = datetime(1970, 1, 3, tzinfo=UTC)
"""Before any stored time: for pumps without a checkpoint."""


async def read_back(connection: asyncpg.Connection, keys: list[int], after: list[int], since: list[datetime]) -> Items:
    """Return the stored items of pumps `keys` beyond positions `after`, sorted by key and position.

    `since`: a time at or before which the item at `after` was measured. `message` is -1 and `pump` the database's key.
    """
    if not keys:
        return np.zeros(0, ITEM)
    earliest = min(since) - (BEGINNING - datetime(1970, 1, 1, tzinfo=UTC)) / 2
    query = _READ_BACK_FEW if len(keys) <= _FEW else _READ_BACK
    return await copy_out(connection, query, keys, after, since, earliest)


async def measured_between(connection: asyncpg.Connection, from_at: datetime, until: datetime) -> Items:
    """Return what all pumps measured and did in [from_at, until), sorted by key and position; as `read_back` has it."""
    return await copy_out(connection, _MEASURED_BETWEEN, from_at, until)


async def copy_out(connection: asyncpg.Connection, query: str, *arguments: object) -> Items:
    """Return what the query, which selects READING_VALUES and EVENT_VALUES, finds."""
    parts: list[bytes] = []

    async def keep(part: bytes) -> None:
        parts.append(part)

    await connection.copy_from_query(query, *arguments, output=keep, format="binary")
    stored = np.frombuffer(b"".join(parts)[len(_HEADER) : -len(_TRAILER)], _STORED)
    items = np.zeros(len(stored), ITEM)
    for name in (
        "pump",
        "position",
        "kind",
        "mode",
        "program_ml_d",
        "flow_ml_d",
        "reservoir_ml",
        "battery_v",
        "delivered_ul",
        "value",
        "second",
        "code",
    ):
        items[name] = stored[name]
    for name in ("measured", "received"):
        items[f"{name}_ms"] = (stored[f"{name}_at"].astype(np.int64) + _EPOCH_2000_US) // 1000
    items["device_ms"] = items["measured_ms"]
    items["message"] = -1
    return items


# Pump events, one a row; `body` is the event as it came.
_INSERT_EVENTS: Final = """
    INSERT INTO event (pump, position, type, measured_at, received_at, value, second, code, body)
    SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                         $6::float8[], $7::float8[], $8::smallint[], $9::jsonb[])
"""


async def insert_events(connection: asyncpg.Connection, events: Items, bodies: list[bytes]) -> None:
    if not len(events):
        return
    await connection.execute(
        _INSERT_EVENTS,
        events["pump"].tolist(),
        events["position"].tolist(),
        [EventType(kind).name.lower() for kind in events["kind"]],
        [instant(ms) for ms in events["measured_ms"]],
        [instant(ms) for ms in events["received_ms"]],
        *([None if np.isnan(value) else float(value) for value in events[name]] for name in ("value", "second")),
        events["code"].tolist(),
        [body.decode() for body in bodies],
    )


def instant(ms: float) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)
