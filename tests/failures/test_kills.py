"""Processes are killed while pumps publish: every reading is stored once, no receipt lies, and every alert is due.

Short here, at a few hundred messages a second; `make soak` has the figures that the product must reach, and writes them
into docs/measurements.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.embedded.nats import NatsServer
from tests.conftest import QUICK
from tests.failures.at_commit import AT_COMMIT
from tests.failures.broker import unsettled
from tests.failures.measurements import record
from tests.failures.mishaps import (
    Mishap,
    broker_and_then_ingester_killed_between_receive_and_settle,
    broker_killed,
    broker_killed_between_receive_and_settle,
    broker_killed_while_the_ingester_is_away,
    commit_outlasts_the_brokers_patience,
    database_killed,
    ingester_killed,
    ingester_killed_in_a_slow_commit,
    ingester_killed_when_a_commit_outlasts_the_brokers_patience,
)
from tests.failures.run import Outcome, Run
from tests.failures.stage import MOSQUITTO, NATS, Load, Stage, stage
from tests.patience import until_true
from tests.servers import mosquitto_binary

SHORT = Load(pumps=40, hours=3.2, rate=500, seed=7)
FULL = Load(pumps=300, hours=24.0, rate=2000, seed=11)

KILLS = [ingester_killed, ingester_killed, broker_killed, database_killed]
ALL_KILLS = [*[ingester_killed] * 10, *[broker_killed] * 2, *[database_killed] * 2]
BEFORE_SETTLE = [
    broker_killed_between_receive_and_settle,
    broker_and_then_ingester_killed_between_receive_and_settle,
]
IN_A_COMMIT = {
    NATS: [
        commit_outlasts_the_brokers_patience,
        ingester_killed_when_a_commit_outlasts_the_brokers_patience,
        *BEFORE_SETTLE,
    ],
    MOSQUITTO: [ingester_killed_in_a_slow_commit, *BEFORE_SETTLE],  # it sends again to new connections only
}

USUAL, SHORT_PATIENCE = "120s", "3s"


@pytest.fixture(autouse=True)
def _needs_mosquitto(request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["kind"] == MOSQUITTO and mosquitto_binary() is None:
        pytest.skip("no mosquitto on this machine (Debian: apt-get install mosquitto)")


@pytest.mark.parametrize(
    ("kind", "ack_wait", "mishaps"),
    [
        pytest.param(NATS, USUAL, KILLS, id="nats"),
        pytest.param(NATS, SHORT_PATIENCE, IN_A_COMMIT[NATS], id="nats, in a commit"),
        pytest.param(NATS, USUAL, AT_COMMIT, id="nats, while a commit is under way"),
        pytest.param(MOSQUITTO, USUAL, [*KILLS, *BEFORE_SETTLE], id="mosquitto without persistence"),
    ],
)
async def test_kills_lose_nothing_and_double_nothing(
    kind: str, ack_wait: str, mishaps: Sequence[Mishap], tmp_path: Path
) -> None:
    async with stage(tmp_path, kind, SHORT, ack_wait=ack_wait, settings=QUICK) as here:
        outcome = await Run(here, seed=5, after_readings=(0, 1500)).play(mishaps)
        _well(outcome)
        assert "Traceback" not in here.ingester.log
        if ack_wait == SHORT_PATIENCE:
            await _everything_is_settled(here)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [NATS, MOSQUITTO])
async def test_ten_kills_of_the_ingester_two_of_the_broker_and_two_of_the_database(kind: str, tmp_path: Path) -> None:
    async with stage(tmp_path, kind, FULL) as here:
        outcome = await Run(here, seed=23, after_readings=(0, 40_000)).play(ALL_KILLS)
        await record(f"{kind}.kills", here, outcome)
    _well(outcome)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [NATS, MOSQUITTO])
async def test_kills_between_receive_and_settle_and_while_nobody_listens(kind: str, tmp_path: Path) -> None:
    mishaps = [*IN_A_COMMIT[kind], broker_killed_while_the_ingester_is_away]
    async with stage(tmp_path, kind, replace(FULL, hours=16.0), ack_wait=SHORT_PATIENCE) as here:
        outcome = await Run(here, seed=29, after_readings=(0, 30_000)).play([*mishaps, *mishaps])
        await record(f"{kind}.in_between", here, outcome)
        _well(outcome)
        await _everything_is_settled(here)


def _well(outcome: Outcome) -> None:
    assert outcome.problems == []
    assert outcome.alerts_due > 0


async def _everything_is_settled(here: Stage) -> None:
    """No PUBACK was given twice, lest the second be taken for that of a newer message, which then never comes again."""
    broker = here.broker
    if isinstance(broker, NatsServer):
        await until_true(lambda: unsettled(broker) == 0, "everything to be settled")
