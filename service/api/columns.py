"""How do rows become columns? Each as one list, told in the units and decimals of the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
import numpy as np

Column = Sequence[Any]
Told = Callable[[Column], Column]


def as_it_is(column: Column) -> Column:
    return column


def each(of: Callable[[Any], Any]) -> Told:
    return lambda column: list(map(of, column))


def rounded(decimals: int) -> Told:
    """For numbers that are always there."""
    return lambda column: np.round(np.array(column, float), decimals).tolist()


def columns_of(rows: Sequence[asyncpg.Record], told: Mapping[str, tuple[str, Told]]) -> dict[str, Column]:
    """`told`: for the name of each column, that of its source in the rows, and how it is told."""
    if not rows:
        return {name: [] for name in told}
    columns = dict(zip(rows[0].keys(), zip(*rows, strict=True), strict=True))
    return {name: tell(columns[source]) for name, (source, tell) in told.items()}
