"""What is read for an answer: of many days only those that are asked for, and rows by their index. Seen in plans."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest

from service.core.resolution import HOUR, Source
from service.postgres import alert_queries, aside, books, comparing, export, fleet, late, queries
from service.postgres import series as charts
from service.postgres.migrate import migrate
from service.postgres.partitions import make_ahead
from service.postgres.readings import instant
from tests.postgres.stores import Store, by_url
from tests.pumps import NOON_MS

NOON = instant(NOON_MS)
DAYS = 20
FIRST = NOON - timedelta(days=DAYS)
PUMPS = 50
DAY = timedelta(days=1)


@pytest.fixture(scope="module", params=["plain", "compressed", "url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Twenty days of fifty pumps, each a reading every quarter of an hour; `compressed`: on TimescaleDB."""
    async with AsyncExitStack() as stack:
        if request.param == "plain":
            server = request.getfixturevalue("postgres_server_of_session")
            control = await asyncpg.connect(server.url())
            stack.push_async_callback(control.close)
            await control.execute("CREATE DATABASE plans")
            url = server.url("plans")
        else:
            url = await stack.enter_async_context(by_url())
        await migrate(url)
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO site VALUES ('north', 'north')")
        await connection.execute(
            "INSERT INTO pump (pump_id, site) SELECT 'p' || n, 'north' FROM generate_series(1, $1::int) AS n", PUMPS
        )
        await make_ahead(connection, FIRST.date(), NOON.date())
        if request.param != "plain":
            await connection.execute("SELECT set_chunk_time_interval('stored_reading', interval '1 day')")
        await connection.execute(
            "INSERT INTO stored_reading (measured_at, position, received_after_ms, pump, program_100nl_d, flow_100nl_d,"
            " reservoir_ul, battery_mv, mode) SELECT $1::timestamptz + n * interval '15 minutes', n, 200, pump, 5000,"
            " 5000, 18000, 2900, 0 FROM pump CROSS JOIN generate_series(0, $2::int * 96 - 1) AS n",
            *(FIRST, DAYS),
        )
        await connection.execute(
            "INSERT INTO event (pump, position, type, measured_at, received_at, body)"
            " SELECT pump, (1::bigint << 40) + n, 'refill', $1::timestamptz + n * interval '1 minute', $1, '{}'"
            " FROM pump CROSS JOIN generate_series(0, 499) AS n",
            NOON,
        )
        await connection.execute(
            "INSERT INTO pump_latest (pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml,"
            " battery_v, mode) SELECT pump, $1, $1, 1, 0.5, 0.5, 18, 2.9, 0 FROM pump",
            NOON,
        )
        if request.param == "compressed":
            await connection.fetch("SELECT compress_chunk(chunk, true) FROM show_chunks('stored_reading') AS chunk")
            for view in ("reading_hour", "reading_day"):
                await connection.execute(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)")
        await connection.execute("ANALYZE")
        await connection.close()
        yield Store("plain" if request.param == "plain" else "url", url)


@pytest.fixture(params=["auto", "force_generic_plan"])
async def connection(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """Plans made for the values, and those that are made once for all. Tables here are small: an index that can be
    used must be.
    """
    settings = {"plan_cache_mode": request.param, "enable_seqscan": "off", "jit": "off"}
    connection = await asyncpg.connect(store.url, server_settings=settings)
    yield connection
    await connection.close()


class Node(NamedTuple):
    kind: str
    relation: str


async def executed(connection: asyncpg.Connection, query: str, *arguments: object) -> list[Node]:
    """Every node of the plan that was run and reads a table."""
    (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments))
    return list(_run(plan["Plan"]))


def _run(node: dict[str, Any]) -> Iterator[Node]:
    if node.get("Actual Loops"):
        if "Relation Name" in node:
            yield Node(node["Node Type"], node["Relation Name"])
        for part in node.get("Plans", ()):
            yield from _run(part)


async def days_read(connection: asyncpg.Connection, store: Store, nodes: list[Node]) -> set[datetime]:
    """The days, as their beginnings, whose readings were looked into."""
    if store.timescale:
        rows = await connection.fetch(
            "SELECT c.chunk_name, z.compressed_name, range_start FROM timescaledb_information.chunks AS c"
            " LEFT JOIN LATERAL (SELECT k.table_name AS compressed_name FROM _timescaledb_catalog.chunk AS u"
            " JOIN _timescaledb_catalog.chunk AS k ON k.id = u.compressed_chunk_id"
            " WHERE u.table_name = c.chunk_name) AS z ON true WHERE hypertable_name = 'stored_reading'"
        )
        names = {name: row["range_start"] for row in rows for name in (row["chunk_name"], row["compressed_name"])}
    else:
        rows = await connection.fetch(
            "SELECT inhrelid::regclass::text AS name,"
            " to_timestamp(right(inhrelid::regclass::text, 8), 'YYYYMMDD') AS day FROM pg_inherits"
            " WHERE inhparent = 'stored_reading'::regclass AND inhrelid::regclass::text ~ '_[0-9]{8}$'"
        )
        names = {row["name"]: row["day"] for row in rows}
    return {names[node.relation] for node in nodes if node.relation in names}


LAST_DAY = (NOON - DAY, NOON)
OF_A_SPAN = {
    "a page of readings": (queries._READINGS, (1, *LAST_DAY, LAST_DAY[0], -1, 1000)),
    "what is stored of what came again": (
        comparing._WITHIN,
        ([1], [0], [1 << 60], [LAST_DAY[0]], [LAST_DAY[1]], *LAST_DAY),
    ),
    "what is stored of what is merged late": (late._STORED, (1, *LAST_DAY, list(range(2000)))),
    "a chart of readings": (charts.READINGS, (1, *LAST_DAY, 1000)),
    "a chart of readings put together": (charts.PUT_TOGETHER, (1, *LAST_DAY, HOUR)),
    "a chart of hours": (charts.KEPT[Source.HOUR], (1, *LAST_DAY, HOUR)),
    "the ends of a ledger": (books._BOUNDS, (1, *LAST_DAY)),
    "the runs of a ledger": (books._RUNS, (1, *LAST_DAY, 0, 1 << 60)),
}


@pytest.mark.parametrize("what", OF_A_SPAN)
async def test_only_the_days_that_are_asked_for_are_read_and_by_their_index(
    connection: asyncpg.Connection, store: Store, what: str
) -> None:
    query, arguments = OF_A_SPAN[what]
    nodes = await executed(connection, query, *arguments)
    days = await days_read(connection, store, nodes)
    asked = {(NOON - DAY).replace(hour=0), NOON.replace(hour=0)}
    assert days <= asked, what
    assert [node for node in nodes if node.kind == "Seq Scan"] == []


BY_INDEX = {
    "a page of pumps": (queries._PAGE_OF_PUMPS, ("p2", None, None, 100, None, None, None, None)),
    "a page of a site": (queries._PAGE_OF_PUMPS, ("p2", "north", None, 100, "stall", 9.0, NOON, None)),
    "a page of those who see two sites": (
        queries._PAGE_OF_PUMPS,
        ("p2", None, None, 100, None, None, None, ["north", "south"]),
    ),
    "one pump": (queries._ONE_PUMP, ("p2",)),
    "events": (queries._EVENTS, (1, 1 << 60, None, None, None, 100)),
    "events of a kind": (queries._EVENTS, (1, 1 << 60, None, None, "refill", 100)),
    "events to export": (export._EVENTS, (1, *LAST_DAY, LAST_DAY[0], -1, 100)),
    "gaps": (queries._GAPS, (1, 1 << 60, 100)),
    "quarantine": (aside.PAGE, (1 << 60, None, None, None, None, None, None, 100)),
    "what was kept aside of a pump": (books._ASIDE, (["pumps/v1/p1/event"], FIRST)),
    "the latest of the fleet": (fleet.LATEST, ("p2", 100)),
    "the latest of a site": (fleet.LATEST_OF_SITE, ("p2", 100, "north")),
    "one alert": (alert_queries._ONE, ("00000000-0000-0000-0000-000000000000",)),
}


@pytest.mark.parametrize("what", BY_INDEX)
async def test_pages_are_found_by_an_index(connection: asyncpg.Connection, what: str) -> None:
    query, arguments = BY_INDEX[what]
    nodes = await executed(connection, query, *arguments)
    assert nodes, "something was read"
    assert [node for node in nodes if node.kind == "Seq Scan"] == []


async def test_a_later_page_leaves_the_days_before_it_alone(connection: asyncpg.Connection, store: Store) -> None:

    page = await queries.readings(connection, 1, since=FIRST, until=NOON, after=(NOON - DAY, 1 << 60), limit=10)
    assert page[0]["measured_at"] == NOON - DAY + timedelta(minutes=15)
    since = NOON - DAY
    nodes = await executed(connection, queries._READINGS, 1, since, NOON, since, 1 << 60, 10)
    assert await days_read(connection, store, nodes) <= {since.replace(hour=0), NOON.replace(hour=0)}
