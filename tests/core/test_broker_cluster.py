"""What the nodes of a cluster say of each other."""

from typing import Any

from service.core.broker_cluster import Node, of_cluster
from service.core.change import Condition

NAMES = ("nats-1", "nats-2", "nats-3")


def node(
    name: str, connected: tuple[str, ...] = NAMES, *, leader: str | None = "nats-1", stream_leader: str = "nats-2"
) -> Node:
    others = [other for other in connected if other != name]
    meta: dict[str, Any] = {"name": "pumpwatch", "cluster_size": 3}
    if leader:
        meta["leader"] = leader
    if leader == name:
        meta["replicas"] = [{"name": other} for other in NAMES if other != name]
    streams = [{"name": "$MQTT_msgs", "cluster": {"leader": stream_leader}}, {"name": "$MQTT_out", "cluster": {}}]
    jetstream = {"meta_cluster": meta, "account_details": [{"stream_detail": streams}, {}]}
    # A route for each of a pool, and none of them twice.
    routes = {"server_name": name, "routes": [{"remote_name": other} for other in others * 3]}
    return Node(routes, jetstream, {"status": "ok"})


def reasons(nodes: list[Node], silent: tuple[str, ...] = ()) -> list[str]:
    found = of_cluster(nodes, silent)
    assert {report.condition for report in found} <= {Condition.BROKER_DEGRADED}
    return [report.reason for report in found]


def test_a_cluster_that_is_whole_and_a_broker_alone_say_nothing() -> None:
    assert reasons([node(name) for name in NAMES]) == []
    assert reasons([Node({"server_name": "nats-1"}, {}, {"status": "ok"})]) == []


def test_a_node_that_is_missing_is_named() -> None:
    left = NAMES[:2]
    assert reasons([node(name, left) for name in left], ("h3:8222",)) == [
        "2 of its 3 nodes are connected: nats-3 is not there"
    ]
    assert reasons([node("nats-2", left)]) == ["2 of its 3 nodes are connected"], "only the leader knows who it is"


def test_without_a_majority_it_says_what_pumps_get() -> None:
    [missing, majority] = reasons([node("nats-1", ("nats-1",))], ("h2:8222", "h3:8222"))
    assert missing == "1 of its 3 nodes are connected: nats-2, nats-3 is not there"
    assert "no majority: pumps get no PUBACK" in majority


def test_nodes_that_answer_us_and_not_each_other_are_told_of() -> None:
    parted = [node("nats-1", NAMES[:2]), node("nats-2", NAMES[:2]), node("nats-3", ("nats-3",))]
    assert reasons(parted) == ["2 of its 3 nodes are connected: nats-3 is not there"]


def test_what_has_no_leader_is_told_of() -> None:
    assert reasons([node(name, leader=None) for name in NAMES]) == ["its nodes have no leader"]
    assert reasons([node(name, stream_leader="") for name in NAMES]) == [
        "$MQTT_msgs has no leader: pumps get no PUBACK"
    ]


def test_a_node_that_says_so_itself_is_unwell_and_one_that_nobody_can_ask_is_told_of() -> None:
    unwell = node("nats-1")._replace(health={"status": "unavailable", "error": "JetStream is not current"})
    assert reasons([unwell]) == ["nats-1 says that it is not well: JetStream is not current"]
    assert reasons([node("nats-1"), node("nats-2")], ("h3:8222",)) == ["its node at h3:8222 does not answer"]
    assert reasons([], ("h1:8222", "h2:8222")) == ["none of its nodes answers (h1:8222, h2:8222)"]
