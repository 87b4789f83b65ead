"""`pumpwatch rules backtest`: two rulebooks over one stream, and one over what is stored."""

import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import numpy as np

from service.postgres.readings import copy_in
from tests.commands.test_rules import pumpwatch, stream
from tests.pumps import MINUTE_MS, readings


def test_two_rulebooks_are_laid_side_by_side(tmp_path: Path) -> None:
    slower = tmp_path / "slower.toml"
    slower.write_text("[stall]\nmissed_ul = 15\n")
    asked = ["rules", "backtest", "--from", stream(tmp_path), "--against", slower]
    ran = pumpwatch(*asked, "--json")
    assert ran.returncode == 0, ran.stderr
    [stall] = [row for row in json.loads(ran.stdout)["against"]["changes"]["conditions"] if row["condition"] == "stall"]
    assert (stall["this"], stall["other"], stall["only_this"], stall["only_other"]) == (1, 1, 0, 0)
    assert stall["sooner_by_s"] > 0
    table = pumpwatch(*asked).stdout
    assert "sooner" in table
    assert "1 alerts, from 120 readings and events" in table


def test_a_mistake_in_the_other_rulebook_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[stall]\nmissed_ul = 1500\n")
    ran = pumpwatch("rules", "backtest", "--from", stream(tmp_path), "--against", wrong)
    assert (ran.returncode, ran.stderr.partition(": stall")[0]) == (1, f"{wrong}:2")


async def test_what_is_stored_is_judged_as_it_was_when_it_came(postgres_url: str) -> None:
    now_ms = int(datetime.now(UTC).timestamp()) // 60 * 60_000
    start_ms = now_ms - 300 * MINUTE_MS
    connection = await asyncpg.connect(postgres_url)
    try:
        keys = [
            await connection.fetchval(
                "INSERT INTO pump (pump_id, site, drug_class, registered) VALUES ($1, NULL, 'baclofen', true)"
                " RETURNING pump",
                pump_id,
            )
            for pump_id in ("well", "stalls")
        ]
        flow = np.where(np.arange(300) < 200, 1.0, 0.0)
        await copy_in(connection, readings(300, pump=keys[0], start_ms=start_ms))
        await copy_in(connection, readings(300, pump=keys[1], flow=flow, start_ms=start_ms))
    finally:
        await connection.close()
    ran = pumpwatch("rules", "backtest", "--stored", "--days", "1", "--json", "--database-url", postgres_url)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["readings"] == 600
    assert [(alert["pump_id"], alert["condition"]) for alert in told["alerts"]] == [("stalls", "stall")]


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    nowhere = f"postgresql:///none?host={tmp_path}"
    ran = pumpwatch("rules", "backtest", "--stored", "--database-url", nowhere)
    assert ran.returncode == 2
    assert ran.stderr.startswith("database: ")
    assert "Traceback" not in ran.stderr
