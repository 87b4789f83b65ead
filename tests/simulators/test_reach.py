"""What happens to messages on the way happens to a live fleet too: repeats and disorder, and nothing is lost by it."""

import time

from simulators.broker import broker_of
from simulators.faults import Fault, Kind
from simulators.plan import Plan
from simulators.progress import Steps
from simulators.run import run_fleet
from tests.simulators.desk import Desk


async def test_repeats_and_disorder_reach_the_service_and_everything_is_receipted(nats_url: str) -> None:
    desk = Desk(nats_url, "desk-reach")
    assert desk.subscribed.wait(10)
    now_ms = time.time_ns() // 1_000_000
    plan = Plan(
        broker=broker_of(nats_url),
        pumps=3,
        prefix="reach-",
        backlog_hours=0,
        live_s=600.0,
        interval_s=10.0,
        speed=200.0,
        start_ms=now_ms - 700_000,
        drain_s=30,
    )
    faults = [
        Fault(0, Kind.DUPLICATE, plan_start(plan), plan_start(plan) + 500_000),
        Fault(1, Kind.REORDER, plan_start(plan), plan_start(plan) + 300_000),
    ]
    with Steps() as steps:
        report = await run_fleet(plan, steps, faults)
    desk.close()
    seqs: dict[str, list[int]] = {}
    for pump_id, message in desk.messages:
        seqs.setdefault(pump_id, []).append(message["seq"])

    assert report.is_complete
    assert report.tally["repeated"] >= 30
    assert len(seqs["reach-000001"]) > len(set(seqs["reach-000001"]))
    assert seqs["reach-000002"] != sorted(seqs["reach-000002"])
    assert seqs["reach-000003"] == sorted(set(seqs["reach-000003"]))
    for of_pump in seqs.values():
        assert sorted(set(of_pump)) == list(range(max(of_pump) + 1))


def plan_start(plan: Plan) -> int:
    assert plan.start_ms is not None
    return plan.start_ms
