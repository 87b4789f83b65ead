"""A node of the cluster that is missing is told of while the others still take everything; so is a lost majority."""

import asyncio
import math
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from service.core.broker import Report
from service.core.change import Condition
from service.core.rulebook import DEFAULT_RULEBOOK
from service.doctor import broker as doctor
from service.doctor.finding import Level
from service.embedded.child import free_port
from service.loops.broker_watch import watch_broker
from service.metrics import Metrics
from service.mqtt.monitor import ask_nats
from service.postgres.alerts import AlertStore
from service.postgres.broker import record
from service.postgres.way import look_once
from service.settings import load
from tests.doctor.seen import told
from tests.nats_cluster import HOSTS, NatsCluster, NatsNode, certify
from tests.patience import until_found, until_true

STORE = AlertStore(DEFAULT_RULEBOOK)


class Watch:
    """What the watch role does, at times that the test says."""

    def __init__(self, connection: asyncpg.Connection, cluster: NatsCluster) -> None:
        self.connection, self.cluster = connection, cluster
        self.now = datetime.now(UTC)

    async def asked(self) -> list[Report]:
        return await ask_nats(self.cluster.monitoring_urls)

    async def look(self, reports: list[Report], after_s: float) -> list[tuple[str, str]]:
        self.now += timedelta(seconds=after_s)
        await record(self.connection, reports, self.now)
        written = await look_once(self.connection, STORE, [], timedelta(days=1), self.now)
        return [(str(each.condition), str(each.event)) for each in written]

    async def until(self, *said: str) -> list[Report]:
        """The reports, once these are among them; without any: once there is none."""

        def enough(reports: list[Report]) -> bool:
            reasons = [report.reason for report in reports]
            return all(any(word in reason for reason in reasons) for word in said) if said else not reasons

        return await until_found(self.asked, f"{said or 'nothing'}", enough=enough)


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsCluster]:
    cluster = NatsCluster(tmp_path_factory.mktemp("cluster"))
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
async def watch(connection: asyncpg.Connection, cluster: NatsCluster) -> Watch:
    return Watch(connection, cluster)


async def test_a_missing_node_and_a_lost_majority_are_one_alert_that_ends_when_the_cluster_is_whole(
    watch: Watch,
) -> None:
    first, second, third = watch.cluster.nodes
    assert await watch.look(await watch.until(), 0) == []

    third.kill()
    missing = await watch.until("2 of its 3 nodes are connected: nats-3 is not there")
    assert await watch.look(missing, 5) == [], "a node that is started anew is not worth a word"
    assert await watch.look(missing, 21) == [("broker_degraded", "condition_began")]
    seen = await doctor.look(
        load(
            {},
            database_url="postgresql://127.0.0.1/x",
            broker_url=first.mqtt_url,
            broker_monitor_url=watch.cluster.monitoring_urls,
        )
    )
    assert "nats-3 is not there -> docs/runbook.md, broker_degraded" in told(seen)
    assert "the certificate by which the other nodes know nats-1: until " in told(seen, Level.OK)

    second.kill()
    lost = await watch.until("1 of its 3 nodes", "no majority")
    for after_s in (5, 25):
        assert await watch.look(lost, after_s) == [], "it is told of already"

    first.kill()
    assert "none of its nodes answers" in str(await watch.until("none of its nodes answers"))
    for node in watch.cluster.nodes:
        node.start()
    await watch.until()
    for after_s in (25, 25):
        assert await watch.look([], after_s) == [], "not before it has been whole for a minute"
    assert await watch.look([], 25) == [("broker_degraded", "condition_ended")]


async def test_what_prometheus_is_told_is_what_the_broker_says_now() -> None:
    metrics = Metrics(CollectorRegistry())
    said = [
        Report("nodes", None, "a node is missing", Condition.BROKER_DEGRADED),
        Report("dropped", 7, "it has dropped"),
    ]

    async def faults(answer: list[Report] | OSError) -> dict[str, float]:
        stop = asyncio.Event()

        async def ask() -> list[Report]:
            stop.set()
            if isinstance(answer, OSError):
                raise answer
            return answer

        async def keep(_: list[Report], __: datetime) -> None: ...

        await watch_broker(ask, keep, metrics, lambda: datetime.now(UTC), stop)
        (counted,) = metrics.broker_faults.collect()
        return {sample.labels["condition"]: sample.value for sample in counted.samples}

    unknown = pytest.approx(math.nan, nan_ok=True)
    assert await faults(said) == {"broker_degraded": 1.0, "broker_dropping": 0.0, "unanswered": 0.0}
    assert await faults(OSError("ConnectError")) == {
        "broker_degraded": unknown,
        "broker_dropping": unknown,
        "unanswered": 1.0,
    }
    assert await faults([]) == {"broker_degraded": 0.0, "broker_dropping": 0.0, "unanswered": 0.0}


@dataclass(frozen=True)
class Stranger:
    """Who would speak as every pump, and hear all of them, if it joined the cluster as a node."""

    password: str
    authority: str
    """Whose certificate it has: `ours`, `another`, or none at all."""
    refused: str
    """What a node says of it."""


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(Stranger("guessed", "ours", "authentication error"), id="without the password"),
        pytest.param(Stranger("routes", "another", "TLS route handshake error"), id="with another's certificate"),
        pytest.param(Stranger("routes", "", "TLS route handshake error"), id="in plain text"),
    ],
)
async def test_nobody_joins_the_cluster_as_a_node_without_its_password_and_a_certificate_of_its_authority(
    cluster: NatsCluster, tmp_path: Path, stranger: Stranger
) -> None:
    file = tmp_path / "stranger.conf"
    authority = {"ours": cluster.authority, "another": tmp_path / "another"}.get(stranger.authority)
    if stranger.authority == "another":
        certify(tmp_path / "another", HOSTS[0])
    route = f"nats-route://routes:{stranger.password}@{HOSTS[0]}:{cluster.ports['routes']}"
    file.write_text(
        f'server_name: stranger, listen: "127.0.0.1:{free_port()}"\n'
        f'cluster {{ name: pumpwatch, listen: "127.0.0.1:{free_port()}", routes: ["{route}"]\n'
        f"{_tls(authority / 'nodes', cluster.authority) if authority else ''} }}\n",
        encoding="utf-8",
    )
    node = NatsNode(tmp_path, "stranger", HOSTS[0], file, {}, {})
    before = len(cluster.nodes[0].log)
    try:
        node.start()
        await until_true(lambda: stranger.refused in cluster.nodes[0].log[before:], "the stranger to be refused")
        for each in cluster.nodes:
            assert "stranger" not in each.routes()
    finally:
        node.stop()


def _tls(certificates: Path, trusted: Path) -> str:
    """It trusts whom the cluster trusts: what is in question is whether the cluster trusts it."""
    stem = certificates / HOSTS[0]
    return f'tls {{ cert_file: "{stem}.pem", key_file: "{stem}.key", ca_file: "{trusted}/ca.crt", timeout: 5 }}'


async def test_who_has_no_certificate_hears_nothing_of_a_node_whatever_it_knows(cluster: NatsCluster) -> None:
    trusting = ssl.create_default_context(cafile=cluster.authority / "ca.crt")
    for node in cluster.nodes:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await _greeting(node.host, cluster.ports["routes"], trusting)
    own = cluster.authority / "nodes" / HOSTS[1]
    trusting.load_cert_chain(f"{own}.pem", f"{own}.key")
    assert (await _greeting(HOSTS[0], cluster.ports["routes"], trusting)).startswith(b"INFO ")


async def _greeting(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """What a node says first to whoever it takes for another. It speaks TLS from the first byte on."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            return await reader.readuntil(b"\r\n")
        finally:
            writer.transport.abort()
