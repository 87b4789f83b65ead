"""How do a batch's readings and events get in, and which of them do not?

Readings go straight in by COPY. Only where the database says that one is there already, what is stored under the same
keys is looked up, compared and left out; where it says that it cannot take one, that one is found by trying halves.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import numpy as np
import numpy.typing as npt

from service.core.conflict import differ, difference, places_of
from service.core.reading import EventType, Items, those
from service.core.rejection import Reason, one_line
from service.core.relearn import HORIZON
from service.ports import Refused, RefusedError
from service.postgres.comparing import stored_under
from service.postgres.readings import copy_in, insert_events

REFUSALS: Final = (
    asyncpg.DataError,  # no such value can be
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.RaiseError,
    asyncpg.ProgramLimitExceededError,
)
"""What the database says of a row that it cannot take, however often it is asked."""

AHEAD: Final = HORIZON
"""What is measured still later, by a clock that is off, waits like what came late: there is no partition for it yet."""


async def put(connection: asyncpg.Connection, stored: Items, bodies: Sequence[bytes], now: datetime) -> None:
    """Store readings and events; `bodies` are those of the events, in their order.

    Readings that came after the lateness horizon go where they wait to be merged (postgres/late.py). Raises
    UniqueViolationError where something is stored already, and one of REFUSALS.
    """
    is_event = stored["kind"] != EventType.READING
    readings = those(stored, ~is_event)
    waits = _waits(readings, now)
    if waits.any():
        await copy_in(connection, readings[waits], "late_reading")
        readings = readings[~waits]
    await copy_in(connection, readings)
    await insert_events(connection, stored[is_event], list(bodies))


async def put_what_is_new(connection: asyncpg.Connection, stored: Items, bodies: Sequence[bytes], now: datetime) -> int:
    """The same without what is stored already with the same values; return how much that is.

    Raises RefusedError for what is stored with other values.
    """
    known = await stored_under(connection, stored)
    places = places_of(stored, known)
    new = places < 0
    ours, theirs = stored[~new], known[places[~new]]
    differing = differ(ours, theirs, np.zeros(len(ours), np.bool_))
    refused = [
        Refused(int(item["pump"]), int(item["position"]), Reason.CONFLICTS_WITH_STORED, difference(item, other), other)
        for item, other in zip(ours[differing], theirs[differing], strict=True)
    ]
    if refused:
        raise RefusedError(refused)
    is_event = stored["kind"] != EventType.READING
    of_new = [body for body, is_new in zip(bodies, new[is_event].tolist(), strict=True) if is_new]
    await put(connection, stored[new], of_new, now)
    return int((~new).sum())


async def refused_among(
    connection: asyncpg.Connection, stored: Items, bodies: Sequence[bytes], now: datetime
) -> list[Refused]:
    """Find by halves what the database refuses. Nothing stays stored of it."""
    body_of = dict(zip(np.flatnonzero(stored["kind"] != EventType.READING).tolist(), bodies, strict=True))
    to_try = [(0, len(stored))]
    refused = []
    while to_try:
        first, last = to_try.pop()
        error = await _refusal(
            connection, stored[first:last], [body_of[place] for place in range(first, last) if place in body_of], now
        )
        if error is None:
            continue
        if last - first == 1:
            item = stored[first]
            said = one_line(str(error))
            refused.append(Refused(int(item["pump"]), int(item["position"]), Reason.REFUSED_BY_STORE, said, None))
        else:
            middle = (first + last) // 2
            to_try += [(middle, last), (first, middle)]
    return refused


async def _refusal(
    connection: asyncpg.Connection, stored: Items, bodies: Sequence[bytes], now: datetime
) -> asyncpg.PostgresError | None:
    trial = connection.transaction()
    await trial.start()
    try:
        await put(connection, stored, bodies, now)
    except asyncpg.UniqueViolationError:
        return None
    except asyncpg.PostgresError as error:
        if not isinstance(error, REFUSALS):
            raise
        return error
    finally:
        await trial.rollback()
    return None


def _waits(readings: Items, now: datetime) -> npt.NDArray[np.bool_]:
    first_ms, last_ms = ((now + shift).timestamp() * 1000 for shift in (-HORIZON, AHEAD))
    waits: npt.NDArray[np.bool_] = (readings["measured_ms"] < first_ms) | (readings["measured_ms"] > last_ms)
    return waits
