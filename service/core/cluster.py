"""What does a cluster for so many pumps look like? Sizes and shares from a few numbers, with their arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

from service.core.shards import SHARDS

MESSAGE_BYTES: Final = 450
"""One reading a message, with its topic and what JetStream and MQTT add; `make bench` measures it."""
READING_BYTES_NEW: Final = 156
READING_BYTES_COMPRESSED: Final = 12
"""A reading with its key in the days before it is compressed, and afterwards."""
UNCOMPRESSED_D: Final = 7
BROKER_US: Final = 300.0
"""Processor time of each of three nodes for one message that all of them keep; 108 to 321 were measured."""
INGESTER_US: Final = 35.0
DATABASE_US: Final = 25.0
BUSY: Final = 0.5
"""How much of its processors may be busy in usual times: the rest is for what comes after an outage."""
FULL: Final = 0.8
"""The stream's share of a node's store: what sessions need beside it must fit, or nobody can drain a full one."""
LEAST_UNSETTLED, MOST_UNSETTLED = 1_000, 20_000
UNSETTLED_S: Final = 5.0
"""How many seconds of a shard's messages may be under way between broker and commit."""
CONNECTIONS_AN_INGESTER: Final = 7
CONNECTIONS_BESIDE: Final = 60
"""Of `watch`, `deliver` and `api`, two of each, and of people."""


class Node(NamedTuple):
    """One NATS server: a name or address that the others, the pumps and the service reach it by."""

    name: str
    host: str


class Ports(NamedTuple):
    mqtt: int = 1883
    nats: int = 4222
    routes: int = 6222
    monitoring: int = 8222


USUAL_PORTS: Final = Ports()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for. `held_h`: for how long the brokers keep what pumps send while nothing takes it.

    `store` and `tls`: directories of a node; in `tls` are its certificate and key, and `ca.crt`.
    """

    nodes: tuple[Node, ...]
    ingesters: int
    pumps: int
    interval_s: float
    held_h: float
    retention_d: int
    ports: Ports = USUAL_PORTS
    store: str = "/var/lib/nats"
    tls: str = "/etc/nats/tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What follows. Rates are a second's."""

    wanted: Wanted
    messages: float
    shares: tuple[tuple[int, ...], ...]
    stream_bytes: int
    store_bytes: int
    max_unsettled: int
    node_cores: float
    ingester_cores: float
    database_cores: float
    connections: int
    database_bytes: int

    @property
    def instances(self) -> list[str]:
        return [f"ingest-{number}" for number in range(1, self.wanted.ingesters + 1)]


def problems(wanted: Wanted) -> list[str]:
    """What cannot be, a line each."""
    found = []
    if len(wanted.nodes) % 2 == 0 or len(wanted.nodes) < 3:
        found.append("nodes: three, or five: a majority of them must agree, also when one is down")
    if len({node.host for node in wanted.nodes}) < len(wanted.nodes):
        found.append("nodes: each needs a host of its own, or losing one loses several")
    if not 1 <= wanted.ingesters <= SHARDS:
        found.append(f"ingesters: 1 to {SHARDS}, the number of shards")
    if wanted.pumps < 1 or wanted.interval_s <= 0 or wanted.held_h <= 0 or wanted.retention_d < 1:
        found.append("pumps, interval, hours held and days kept: more than nothing")
    return found


def plan(wanted: Wanted) -> Plan:
    messages = wanted.pumps / wanted.interval_s
    stream_bytes = ceil(messages * wanted.held_h * 3600 * MESSAGE_BYTES)
    a_day = messages * 86_400
    new_d = min(UNCOMPRESSED_D, wanted.retention_d)
    kept_bytes = new_d * READING_BYTES_NEW + (wanted.retention_d - new_d) * READING_BYTES_COMPRESSED
    return Plan(
        wanted=wanted,
        messages=messages,
        shares=tuple(shares(wanted.ingesters)),
        stream_bytes=stream_bytes,
        store_bytes=ceil(stream_bytes / FULL),
        max_unsettled=min(max(ceil(messages * UNSETTLED_S / SHARDS), LEAST_UNSETTLED), MOST_UNSETTLED),
        node_cores=messages * BROKER_US / 1e6 / BUSY,
        ingester_cores=messages / wanted.ingesters * INGESTER_US / 1e6 / BUSY,
        database_cores=messages * DATABASE_US / 1e6 / BUSY,
        connections=wanted.ingesters * CONNECTIONS_AN_INGESTER + CONNECTIONS_BESIDE,
        database_bytes=ceil(a_day * kept_bytes),
    )


def shares(ingesters: int) -> Sequence[tuple[int, ...]]:
    """The shards of each where all of them live. Which ones they are in the end is a matter of leases."""
    first, found = 0, []
    for number in range(ingesters):
        size = SHARDS // ingesters + (number < SHARDS % ingesters)
        found.append(tuple(range(first, first + size)))
        first += size
    return found
