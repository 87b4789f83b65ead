"""A broker that is away, does not let us in, or holds less than we need."""

from datetime import UTC, datetime
from pathlib import Path

from service.doctor import broker
from service.doctor.finding import Level
from service.embedded.nats import NatsServer
from service.settings import Settings
from tests.doctor.seen import told
from tests.servers import MosquittoServer


def settings(url: str, monitor: str = "") -> Settings:
    return Settings(database_url="postgresql://127.0.0.1/x", broker_url=url, broker_monitor_url=monitor)


async def test_limits_that_would_starve_the_ingester_are_found_with_what_to_set(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, ack_wait="5s", max_unsettled=100)
    server.start()
    try:
        found = await broker.look(settings(server.mqtt_url, server.monitoring_url))
    finally:
        server.stop()
    assert "mqtt.max_ack_pending is 100: too little -> set mqtt.max_ack_pending: 20000" in told(found)
    assert 'mqtt.ack_wait is 5 s: too little -> set mqtt.ack_wait: "120s"' in told(found)
    assert "lets us in" in told(found, Level.OK)
    assert "that of the broker at" in told(found, Level.OK)


async def test_a_broker_with_our_limits_has_no_problem(nats_server: NatsServer) -> None:
    found = await broker.look(settings(nats_server.mqtt_url, nats_server.monitoring_url))
    assert told(found) == ""
    assert "mqtt.max_ack_pending is 20000" in told(found, Level.OK)
    wrong = await broker.look(settings(nats_server.mqtt_url, "http://127.0.0.1:1"))
    assert "does not answer as NATS does: ConnectError -> is PUMPWATCH_BROKER_MONITOR_URL" in told(wrong)


async def test_of_mosquitto_it_says_what_cannot_be_seen(mosquitto_server: MosquittoServer) -> None:
    found = await broker.look(settings(mosquitto_server.url))
    assert told(found) == ""
    assert "max_queued_messages 0" in told(found, Level.WARNING)


async def test_a_broker_that_is_away_or_unknown_is_found() -> None:
    assert "broker 127.0.0.1:1: connection refused -> is it up" in told(
        await broker.look(settings("mqtt://127.0.0.1:1"))
    )
    assert "host name not known" in told(await broker.look(settings("mqtt://nobody.invalid:1883")))


def test_an_older_nats_and_a_small_payload_are_found() -> None:
    said = {"version": "2.14.0", "max_payload": 65_536, "mqtt": {"max_ack_pending": 20_000, "ack_wait": 120 * 10**9}}
    found = list(broker.of_varz(said))
    assert "it is NATS 2.14.0 -> use 2.14.4 or newer" in told(found, Level.WARNING)
    assert "max_payload is 65536 bytes: too little -> set max_payload: 278528" in told(found)


def test_a_way_between_nodes_without_tls_or_with_a_certificate_that_ends_is_found() -> None:
    now = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)

    def seen(level: Level = Level.PROBLEM, **routes: object) -> str:
        said = {"server_name": "nats-1", "cluster": {"urls": ["127.0.0.1:6222"], **routes}}
        return told(list(broker.of_routes(said, now)), level)

    verified = {"tls_required": True, "tls_verify": True}
    assert "nats-1 speaks to the other nodes in plain text" in seen()
    assert "or asks for no certificate -> give its `cluster` block" in seen(tls_required=True)
    assert "know nats-1 ended at 2026-11-23 19:59 UTC -> `pumpwatch ca issue-node" in seen(
        **verified, tls_cert_not_after="2026-11-23T19:59:00Z"
    )
    assert "ends in 29 days" in seen(Level.WARNING, **verified, tls_cert_not_after="2026-12-23T19:00:00Z")
    assert "until 2027-12-25" in seen(Level.OK, **verified, tls_cert_not_after="2027-12-25T15:35:04Z")
    assert list(broker.of_routes({"cluster": {}}, now)) == [], "it is alone"
