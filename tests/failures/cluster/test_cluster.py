"""Nodes and ingesters of a cluster are killed, hung, restarted and relieved under load: every reading is stored once,
no receipt lies, every due alert is raised once, and nobody had to help.

Short here; `make soak` has the figures that the product must reach, and writes them into docs/measurements.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.shards import shard_of
from service.embedded.postgres import PostgresServer
from tests.benchmarks.processes import ROOT
from tests.failures.cluster.long_run import LongRun
from tests.failures.cluster.mishaps import (
    KILLS,
    MOVES,
    ClusterMishap,
    all_but_one_ingester_killed,
    ingester_killed,
    node_killed,
    shards_moved,
)
from tests.failures.cluster.stage import ClusterStage, cluster_stage
from tests.failures.run import Outcome, Run
from tests.failures.stage import Load

SHORT = Load(pumps=96, hours=1.0, rate=400, seed=7)
FULL = Load(pumps=600, hours=84.0, rate=5000, seed=11)
MEASUREMENTS = ROOT / "docs/measurements/soak_cluster.json"


@pytest.mark.parametrize(
    "mishaps",
    [
        pytest.param([ingester_killed, node_killed, shards_moved], id="some of all"),
        pytest.param(KILLS, id="kills", marks=pytest.mark.soak),
        pytest.param(MOVES, id="moves", marks=pytest.mark.soak),
    ],
)
async def test_a_cluster_loses_nothing_and_doubles_nothing(
    mishaps: Sequence[ClusterMishap], tmp_path: Path, postgres_server: PostgresServer
) -> None:
    async with cluster_stage(tmp_path, postgres_server, SHORT) as here:
        outcome = await Run(here, seed=5, after_readings=(0, 300)).play(mishaps)
        assert outcome.problems == []
        assert outcome.alerts_due > 0
        assert "Traceback" not in here.ingester.log
        rows = await here.connection.fetch("SELECT pump_id, shard FROM pump")
        assert {row["pump_id"]: row["shard"] for row in rows} == {
            row["pump_id"]: shard_of(row["pump_id"]) for row in rows
        }


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_ten_minutes_of_kills_under_load(tmp_path: Path, postgres_server: PostgresServer) -> None:
    mishaps = [*KILLS, *MOVES, ingester_killed, node_killed, all_but_one_ingester_killed]
    async with cluster_stage(tmp_path, postgres_server, FULL, connections=300) as here:
        outcome = await LongRun(here, seed=23, after_readings=(0, 5_000)).play(mishaps)
        _record(here, outcome)
    assert outcome.problems == []
    assert outcome.alerts_due > 0


def _record(here: ClusterStage, outcome: Outcome) -> None:
    tally = outcome.fleet.tally
    written = {
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "nodes": len(here.broker.nodes),
        "ingesters": len(here.ingester.each),
        "load": asdict(FULL),
        "took_s": outcome.took_s,
        "messages_a_second": round(tally["messages"] / outcome.took_s),
        "messages": {name: tally[name] for name in ("messages", "sent", "resent", "settled")},
        "readings_stored": outcome.readings_stored,
        "events_stored": outcome.events_stored,
        "duplicates_discarded": outcome.counts["duplicates"],
        "receipts": tally["receipts"],
        "alerts": {"due": outcome.alerts_due, "raised": outcome.alerts_raised},
        "takeovers_s": [round(took_s, 1) for took_s in here.takeovers_s],
        "happened": [asdict(each) for each in outcome.happened],
        "wrong": {name: len(found) for name, found in outcome.verdict._asdict().items()},
        "receipted_and_not_stored_meanwhile": len(outcome.uncovered_meanwhile),
    }
    MEASUREMENTS.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")
