"""A broker that is away, does not let us in, or holds less than we need."""

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
