"""Is a cluster of brokers whole? From what its nodes say of each other; one that is away can say nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.core.broker import MQTT_STREAM, Report
from service.core.change import Condition

_DEGRADED: Final = Condition.BROKER_DEGRADED


class Node(NamedTuple):
    """What one node answers to /routez, /jsz (with streams) and /healthz."""

    routes: Mapping[str, Any]
    jetstream: Mapping[str, Any]
    health: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.routes.get("server_name", ""))

    @property
    def connected(self) -> frozenset[str]:
        """The nodes that it is connected to, and itself."""
        return frozenset({self.name, *(str(route.get("remote_name")) for route in self.routes.get("routes") or ())})

    @property
    def meta(self) -> Mapping[str, Any]:
        """What it knows of the cluster; empty: it is in none."""
        return self.jetstream.get("meta_cluster") or {}

    @property
    def streams(self) -> Sequence[Mapping[str, Any]]:
        accounts = self.jetstream.get("account_details") or ()
        return [stream for account in accounts for stream in account.get("stream_detail") or ()]


def of_cluster(nodes: Sequence[Node], silent: Sequence[str]) -> list[Report]:
    """`nodes`: those that answer; `silent`: the addresses of those that do not."""
    if not nodes:
        return [_degraded("nodes", f"none of its nodes answers ({', '.join(silent)})")]
    found = [
        _degraded(f"health {node.name}", f"{node.name} says that it is not well: {node.health.get('error', '')}")
        for node in nodes
        if node.health.get("status", "ok") != "ok"
    ]
    size = max(int(node.meta.get("cluster_size", 0)) for node in nodes)
    there = max((node.connected for node in nodes), key=len)
    if len(there) < size:
        return [*found, *_incomplete(nodes, there, size)]
    if silent:
        found.append(_degraded(f"silent {silent}", f"its node at {', '.join(silent)} does not answer"))
    return [*found, *_leaderless(nodes)]


def _incomplete(nodes: Sequence[Node], there: frozenset[str], size: int) -> list[Report]:
    known = {str(replica.get("name")) for node in nodes for replica in node.meta.get("replicas") or ()}
    missing = sorted((known | {node.name for node in nodes}) - there)
    who = f": {', '.join(missing)} is not there" if missing else ""
    found = [_degraded(f"nodes {' '.join(missing)}", f"{len(there)} of its {size} nodes are connected{who}")]
    if 2 * len(there) <= size:
        found.append(_degraded("majority", "that is no majority: pumps get no PUBACK until another one is back"))
    return found


def _leaderless(nodes: Sequence[Node]) -> list[Report]:
    """An election takes seconds; what has none for longer takes nothing."""
    found = []
    clustered = [node.meta for node in nodes if node.meta]
    if clustered and not any(meta.get("leader") for meta in clustered):
        found.append(_degraded("leader", "its nodes have no leader"))
    led = [
        bool((stream.get("cluster") or {}).get("leader"))
        for node in nodes
        for stream in node.streams
        if stream["name"] == MQTT_STREAM and node.meta
    ]
    if led and not any(led):
        found.append(_degraded("stream leader", f"{MQTT_STREAM} has no leader: pumps get no PUBACK"))
    return found


def _degraded(what: str, reason: str) -> Report:
    return Report(what, None, reason, _DEGRADED)
