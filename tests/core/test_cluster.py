"""A cluster for so many pumps: sizes and shares from a few numbers."""

from dataclasses import replace

import pytest

from service.core.cluster import FULL, MESSAGE_BYTES, MOST_UNSETTLED, Node, Plan, Wanted, plan, problems, shares
from service.core.shards import SHARDS

NODES = tuple(Node(f"nats-{n}", f"10.0.0.{n}") for n in (1, 2, 3))
WANTED = Wanted(nodes=NODES, ingesters=3, pumps=60_000, interval_s=60.0, held_h=24.0, retention_d=400)


def test_the_stream_holds_what_all_pumps_send_while_nothing_is_taken() -> None:
    planned = plan(WANTED)

    assert planned.messages == 1000
    assert planned.stream_bytes == 1000 * 24 * 3600 * MESSAGE_BYTES
    assert planned.stream_bytes <= FULL * planned.store_bytes


@pytest.mark.parametrize("ingesters", [1, 2, 3, 5, 64])
def test_every_shard_is_in_one_share_and_shares_are_even(ingesters: int) -> None:
    parts = shares(ingesters)

    assert sorted(shard for part in parts for shard in part) == list(range(SHARDS))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_pumps_need_more_of_everything() -> None:
    small, large = plan(WANTED), plan(replace(WANTED, pumps=6_000_000))

    for name in ("messages", "node_cores", "ingester_cores", "database_cores", "database_bytes", "max_unsettled"):
        assert getattr(large, name) > getattr(small, name)
    assert large.max_unsettled <= MOST_UNSETTLED


def test_each_ingester_has_a_name_of_its_own() -> None:
    planned: Plan = plan(WANTED)

    assert planned.instances == ["ingest-1", "ingest-2", "ingest-3"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (replace(WANTED, nodes=NODES[:2]), "majority"),
        (replace(WANTED, nodes=(NODES[0], NODES[0], NODES[1])), "host of its own"),
        (replace(WANTED, ingesters=65), "ingesters"),
        (replace(WANTED, ingesters=0), "ingesters"),
        (replace(WANTED, interval_s=0.0), "interval"),
        (replace(WANTED, pumps=0), "pumps"),
    ],
)
def test_what_cannot_be_is_said(wrong: Wanted, named: str) -> None:
    assert any(named in line for line in problems(wrong))


def test_usual_numbers_have_no_problem() -> None:
    assert problems(WANTED) == []
