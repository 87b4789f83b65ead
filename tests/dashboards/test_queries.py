"""Every query of every panel, variable and mark, as Grafana sends it, by the role under which Grafana reads."""

import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from dashboards.build import HERE
from tests.dashboards.conftest import NOW
from tests.dashboards.macros import View, sql_queries
from tests.postgres.stores import Store

DASHBOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.json"))}
QUERIES = [query for dashboard in DASHBOARDS.values() for query in sql_queries(dashboard)]
CHOSEN = {
    "site": ["north", "o'brien", "(no site)"],
    "drug_class": ["baclofen", "opioid", "unknown"],
    "pump": ["p1"],
    "simulated": ["with"],
}


def view(store: Store, interval: str = "1m", **other: list[str]) -> View:
    return View(NOW - timedelta(days=3), NOW + timedelta(days=1), CHOSEN | other, interval, timescale=store.timescale)


@pytest.mark.parametrize("interval", ["1m", "1h", "1d"])
async def test_every_query_gives_rows_with_the_columns_that_its_panel_reads(
    store: Store, grafana: asyncpg.Connection, interval: str
) -> None:
    assert len(QUERIES) > 40
    for where, form, sql in QUERIES:
        rows = await grafana.fetch(view(store, interval).sent(sql))
        assert rows, f"{where}: nothing to see"
        columns = list(rows[0].keys())
        assert len(set(columns)) == len(columns), where
        if form == "time_series":
            times = [row["time"] for row in rows]
            assert columns[0] == "time", where
            assert "metric" in columns or times == sorted(times), f"{where}: not in order"
        elif form == "annotation":
            assert {"time", "text", "tags"} <= set(columns), where


async def test_every_variable_offers_what_the_fleet_has(store: Store, grafana: asyncpg.Connection) -> None:
    offered: dict[str, list[Any]] = {}
    for dashboard in DASHBOARDS.values():
        for variable in dashboard.get("templating", {}).get("list", []):
            if variable["type"] == "query":
                rows = await grafana.fetch(view(store).sent(variable["query"]))
                offered[variable["name"]] = [row[0] for row in rows]
    assert {name: set(values) for name, values in offered.items()} == {
        "site": set(CHOSEN["site"]),
        "drug_class": set(CHOSEN["drug_class"]),
        "pump": {"p1", "p2", "p3"},
    }


async def test_a_spike_is_seen_at_any_width(store: Store, grafana: asyncpg.Connection) -> None:
    (sql,) = (sql for where, _, sql in QUERIES if where.endswith("/ Flow against program"))
    most = 0.49 + 0.006
    raw = [row["Flow"] for row in await grafana.fetch(view(store).sent(sql))]
    assert max(raw) == pytest.approx(most)
    for interval in ("1h", "1d"):
        spans = [row["Most flow"] for row in await grafana.fetch(view(store, interval).sent(sql))]
        assert len(spans) < len(raw)
        assert max(spans) == pytest.approx(most)


async def test_a_choice_leaves_out_what_was_not_chosen(store: Store, grafana: asyncpg.Connection) -> None:
    (sql,) = (sql for where, _, sql in QUERIES if where.endswith("/ Pumps, the most urgent first"))
    rows = await grafana.fetch(view(store, site=["o'brien"]).sent(sql))
    assert [row["Pump"] for row in rows] == ["p2"]
    (sql,) = (sql for where, _, sql in QUERIES if where.endswith("/ Open, the most urgent first"))
    rows = await grafana.fetch(view(store, simulated=["without"]).sent(sql))
    assert {row["Of"] for row in rows} == {"pump:p3"}


async def test_a_name_that_would_be_sql_is_only_a_name(store: Store, grafana: asyncpg.Connection) -> None:
    for _, form, sql in QUERIES:
        if "pump_id" in sql and form == "time_series":
            assert not await grafana.fetch(view(store, pump=["x' OR pump_id = 'p1"]).sent(sql))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret FROM endpoint",
        "SELECT url FROM endpoint",
        "SELECT note FROM alert_history",
        "SELECT * FROM token",
        "SELECT head FROM quarantine",
        "SELECT * FROM audit",
        "UPDATE alert SET state = 'resolved'",
        "DELETE FROM pump_latest",
        "CREATE TABLE here (a integer)",
    ],
)
async def test_grafana_cannot_read_secrets_nor_write(store: Store, grafana: asyncpg.Connection, statement: str) -> None:
    if store.name == "pglite" and statement.startswith("CREATE"):
        pytest.skip("PGlite's schema is open to all")
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
        await grafana.execute(statement)
