"""How do NumPy columns become the rows of a binary COPY? One structured array in the server's own byte order."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import asyncpg
import numpy as np
import numpy.typing as npt

EPOCH_2000_US: Final = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

Columns = Mapping[str, npt.NDArray[Any]]


def row_of(columns: Mapping[str, str]) -> np.dtype[np.void]:
    """One tuple of the format: a count, then length and value of each field, without padding."""
    fields: list[tuple[str, str]] = [("count", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name}_length", ">i4"), (name, kind)]
    return np.dtype(fields)


async def copy_columns(connection: asyncpg.Connection, table: str, kinds: Mapping[str, str], columns: Columns) -> None:
    """Copy equally long `columns` into `table`: none is NULL. `kinds` gives the type of each, as in ">i8"."""
    rows = np.empty(len(next(iter(columns.values()))), row_of(kinds))
    rows["count"] = len(kinds)
    for name, kind in kinds.items():
        rows[f"{name}_length"] = np.dtype(kind).itemsize
        rows[name] = columns[name]
    await connection.copy_to_table(
        table, source=_once(HEADER + rows.tobytes() + TRAILER), format="binary", columns=list(kinds)
    )


def in_us(ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Milliseconds since 1970 as a timestamptz is sent."""
    return ms * 1000 - EPOCH_2000_US


async def _once(stream: bytes) -> AsyncIterator[bytes]:
    yield stream
