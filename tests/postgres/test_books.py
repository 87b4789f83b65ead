"""The ledger, held against what pumps know that they have sent."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import asyncpg
import numpy as np
import pytest

from service.core.completeness import Where
from service.core.reading import position_of
from service.postgres.books import Ledger, ledger
from service.postgres.queries import key_of
from service.postgres.readings import instant
from tests.loops.driven import Driven, telemetry
from tests.patience import until_found
from tests.pumps import MINUTE_MS, NOON_MS

QUARANTINED, LOST, AGAIN = "quarantined", "lost", "again"
FATES = ["stored"] * 6 + [QUARANTINED, LOST, AGAIN]


@pytest.fixture
async def driven(postgres_url: str) -> Driven:
    driven = Driven(postgres_url)
    await driven.start()
    yield driven
    await driven.store.close()


async def books(connection: asyncpg.Connection, pump_id: str, **span: datetime) -> Ledger:
    key = await key_of(connection, pump_id)
    assert key is not None
    return await ledger(connection, key, pump_id, **span)


def say(driven: Driven, pump_id: str, draws: np.random.Generator) -> tuple[Counter[str], int]:
    """Two boots of a pump whose way loses, spoils and repeats; what became of each position, and what came again."""
    fates: Counter[str] = Counter()
    again = 0
    minute = 0
    for boot in (1, 2):
        seq, held_from = 0, (boot, 0)
        count = int(draws.integers(30, 50))
        for number in range(count):
            items = int(draws.integers(1, 6))
            inner = boot - 1 < number < count - 1
            fate = draws.choice(FATES) if inner else "stored"
            message = telemetry(minute, [1.0] * items, boot=boot, held_from=held_from) | {"seq": seq}
            if fate == QUARANTINED:
                driven.send(pump_id, message | {"mode": ["unheard of"] * items})
                held_from = (boot, seq + items)
            elif fate == LOST:
                held_from = (boot, seq + items)
            else:
                for _ in range(1 + (fate == AGAIN)):
                    driven.send(pump_id, message)
                again += items * (fate == AGAIN)
            fates[fate if fate in {QUARANTINED, LOST} else "stored"] += items
            seq, minute = seq + items, minute + items
    return fates, again


async def test_the_ledger_alone_says_what_pumps_know_that_they_have_sent(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    said = {f"p{number}": say(driven, f"p{number}", np.random.default_rng(number)) for number in range(6)}
    await driven.turn()
    await driven.wait_ms(60_000)
    await driven.restart()
    for pump_id, (fates, again) in said.items():
        found = await books(connection, pump_id)
        counts = {where: found.books.count(where) for where in Where}
        assert found.books.stored == fates["stored"], pump_id
        assert counts == {**dict.fromkeys(Where, 0), Where.QUARANTINED: fates[QUARANTINED], Where.LOST: fates[LOST]}
        assert found.books.sent == sum(fates.values())
        assert (found.books.reboots, found.doubled, found.duplicates) == (1, 0, again)
        cuts = [instant(NOON_MS + minutes * MINUTE_MS) for minutes in (-9, 20, 21, 75, 9999)]
        parts = [await books(connection, pump_id, since=since, until=until) for since, until in pairwise(cuts)]
        assert sum(part.books.sent for part in parts) == found.books.sent
        for where in Where:
            assert sum(part.books.count(where) for part in parts) == counts[where]


async def test_what_a_pump_may_still_send_is_awaited_and_what_was_receipted_must_be_there(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.send("p", telemetry(0, [1.0] * 10))
    driven.send("p", telemetry(15, [1.0] * 5))
    await driven.turn()
    found = await books(connection, "p")
    assert [(span.first, span.items, span.where) for span in found.books.missing] == [
        (position_of(1, 10), 5, Where.AWAITED)
    ]
    await driven.wait_ms(46_000)
    assert (await books(connection, "p")).books.count(Where.AWAITED) == 5
    driven.send("p", telemetry(10, [1.0] * 5))
    await driven.turn()
    assert (await books(connection, "p")).books.completeness == 1.0

    await driven.wait_ms(60_000)
    await until_found(
        lambda: connection.fetchval("SELECT through FROM rule_checkpoint WHERE taken_on IS NULL"),
        "the checkpoint",
        enough=lambda through: through == position_of(1, 19),
    )
    await connection.execute("DELETE FROM stored_reading WHERE position = $1", position_of(1, 4))
    found = await books(connection, "p")
    assert found.books.count(Where.UNACCOUNTED) == 1
    await connection.execute(
        "INSERT INTO reading SELECT measured_at + interval '1 ms', position, received_at, pump, program_ml_d,"
        " flow_ml_d, reservoir_ml, battery_v, mode FROM reading WHERE position = $1",
        position_of(1, 7),
    )
    assert (await books(connection, "p")).doubled == 1


async def test_a_span_without_readings_has_empty_books(driven: Driven, connection: asyncpg.Connection) -> None:
    driven.send("p", telemetry(0, [1.0] * 10))
    await driven.turn()
    later = instant(NOON_MS) + timedelta(days=3)
    found = await books(connection, "p", since=later)
    assert (found.books.sent, found.books.completeness, found.books.missing) == (0, None, ())
