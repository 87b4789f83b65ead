"""A fleet is put on real servers with the ingester beside it: nothing is lost, whatever the load does.

Short here; `make soak` has the figures that the simulator must reach, and writes them into docs/measurements.
"""

from pathlib import Path

import pytest

from tests.conftest import QUICK
from tests.failures.stage import MOSQUITTO, NATS
from tests.load.ground import ground
from tests.load.measurements import record
from tests.servers import mosquitto_binary

needs_mosquitto = pytest.mark.skipif(
    mosquitto_binary() is None, reason="no mosquitto on this machine (Debian: apt-get install mosquitto)"
)


async def test_three_hundred_pumps_with_a_connection_each_lose_nothing_in_two_reconnect_storms(tmp_path: Path) -> None:
    who = ("--pumps", 300, "--interval", 2)
    async with ground(tmp_path, NATS, QUICK, *who) as here:
        told = await here.load("storm", *who, "--connections", "pump", "--for-s", 9, "--drain-s", 40)
        tally = told["run"]["tally"]

        assert told["losses"] == {**told["losses"], "held": 0, "let_go": 0, "unaccounted": 0}
        assert await here.stored() == told["losses"]["measured"] > 300 * 4
        assert tally["disconnects"] >= 600
        assert tally["connects"] == 300 + tally["disconnects"]
        assert {sample["stage"] for sample in told["samples"]} >= {"hold", "storm", "again"}
        assert max(sample["connected"] for sample in told["samples"]) == 300


@needs_mosquitto
async def test_two_thousand_pumps_over_four_connections_lose_nothing_in_a_spike(tmp_path: Path) -> None:
    who = ("--pumps", 2000, "--interval", 10)
    async with ground(tmp_path, MOSQUITTO, QUICK, *who) as here:
        told = await here.load("spike", *who, "--for-s", 9, "--drain-s", 40)

        assert told["losses"] == {**told["losses"], "held": 0, "let_go": 0, "unaccounted": 0}
        assert await here.stored() == told["losses"]["measured"] > 2000 * 3
        assert told["run"]["tally"]["disconnects"] == 0
        assert set(told["run"]["settle_latency_ms"]) == {"p50", "p90", "p99", "max"}


@needs_mosquitto
@pytest.mark.soak
@pytest.mark.timeout(1200)
async def test_fifteen_thousand_pumps_with_a_connection_each_for_five_minutes(tmp_path: Path) -> None:
    who = ("--pumps", 15_000, "--interval", 60)
    async with ground(tmp_path, MOSQUITTO, {}, *who) as here:
        told = await here.load("hold", *who, "--connections", "pump", "--for-s", 300, "--drain-s", 60)
        await record("a connection each", here, told)

    assert told["run"]["tally"]["disconnects"] == 0
    assert told["losses"]["unaccounted"] == told["losses"]["held"] == 0
    assert told["peak_memory_mb"] <= 400
    assert told["cpu_share"] <= 0.5


@needs_mosquitto
@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_hundred_thousand_pumps_over_a_few_connections_with_the_service_beside_them(tmp_path: Path) -> None:
    who = ("--pumps", 100_000, "--interval", 60)
    async with ground(tmp_path, MOSQUITTO, {}, *who) as here:
        told = await here.load("hold", *who, "--connections", 8, "--for-s", 300, "--drain-s", 120)
        await record("multiplexed", here, told)
        assert await here.stored() == told["losses"]["measured"]

    assert told["run"]["tally"]["disconnects"] == 0
    assert told["losses"]["unaccounted"] == told["losses"]["held"] == 0
    # Sustained: in the last third of the time as much is measured as the pumps' interval says, and receipted.
    hold = [sample for sample in told["samples"] if sample["stage"] == "hold"]
    last = hold[-len(hold) // 3 :]
    for name in ("measured", "receipted"):
        assert sum(sample[name] for sample in last) / len(last) >= 0.9 * 100_000 / 60, name
