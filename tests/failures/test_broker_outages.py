"""Whatever becomes of the broker: it is told of, and pumps are heard again without anybody's help."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from prometheus_client import CollectorRegistry

from service.core.broker import Report, dropped
from service.core.rulebook import DEFAULT_RULEBOOK
from service.embedded.nats import NatsServer
from service.loops.broker_watch import watch_broker
from service.metrics import Metrics
from service.mqtt.monitor import ask_nats
from service.mqtt.speaker import Speaker
from service.postgres.alerts import AlertStore
from service.postgres.broker import record
from service.postgres.way import look_once
from tests.failures.outside import outside
from tests.mqtt.publisher import publish
from tests.patience import until_found, until_true
from tests.servers import MosquittoServer, mosquitto_binary

STORE = AlertStore(DEFAULT_RULEBOOK)


async def test_a_broker_that_goes_away_and_one_that_forgets_are_told_of_and_heard_again(
    postgres_url: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with outside(postgres_url, nats_server, tmp_path) as here:
        await here.send(5)
        await here.until_settled()
        nats_server.kill()
        await here.until_alert("broker_unavailable", "active")
        nats_server.start()
        await here.until_alert("broker_unavailable", "resolved")
        await here.send(5)
        await here.until_settled()

        nats_server.stop()
        shutil.rmtree(tmp_path / "nats" / "store")
        nats_server.start()
        await here.until_alert("broker_session_lost", "active")
        await here.until_alert("broker_unavailable", "resolved")
        await here.send(5)
        await here.until_settled()
        assert await here.stored() == 15
        told = [each.body["data"]["what"] for each in here.clinic.requests]
        assert any("connection refused" in what for what in told), told


@asynccontextmanager
async def watched(speaker: Speaker, connection: asyncpg.Connection) -> AsyncIterator[None]:
    async def ask() -> Sequence[Report]:
        return [] if speaker.dropped is None else [dropped(speaker.dropped)]

    async def keep(reports: Sequence[Report], now: datetime) -> None:
        await record(connection, reports, now)

    stop = asyncio.Event()
    task = asyncio.create_task(watch_broker(ask, keep, Metrics(CollectorRegistry()), lambda: datetime.now(UTC), stop))
    yield
    stop.set()
    await task


def leave_a_session(server: MosquittoServer) -> None:
    """One that wants everything and is not there: what comes for it waits, up to what the broker keeps."""
    client = Client(
        CallbackAPIVersion.VERSION2, client_id="away", clean_session=False, protocol=MQTTProtocolVersion.MQTTv311
    )
    subscribed: list[object] = []
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.connect("127.0.0.1", server.port)
    client.subscribe("pumps/v1/+/+", qos=1)
    while not subscribed:
        client.loop(0.1)
    client.disconnect()
    client.loop(0.1)


@pytest.mark.skipif(mosquitto_binary() is None, reason="no mosquitto on this machine")
async def test_what_mosquitto_drops_is_told_of(
    connection: asyncpg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    server = MosquittoServer(tmp_path / "mosquitto", queued=10)
    server.start()
    look = await asyncpg.connect(postgres_url)
    try:
        leave_a_session(server)
        async with Speaker(server.url, "test-speaker", hears_of_broker=True) as speaker, watched(speaker, connection):
            await until_true(lambda: speaker.dropped == 0, "the broker to say something of itself")
            await publish(server.url, [(b"pumps/v1/p1/telemetry", b"{}")] * 60)
            await until_true(lambda: (speaker.dropped or 0) >= 50, "the broker to say what it has dropped")

            async def told() -> list[str]:
                written = await look_once(look, STORE, [], timedelta(seconds=20), datetime.now(UTC))
                return [str(each.condition) for each in written]

            await until_found(told, "the alert", enough=lambda found: found == ["broker_dropping"])
    finally:
        await look.close()
        server.stop()


async def test_a_counter_that_begins_anew_is_believed_and_one_that_stands_still_is_no_news(
    connection: asyncpg.Connection,
) -> None:
    at = datetime.now(UTC)

    async def said(count: int, minute: float) -> datetime | None:
        await record(connection, [dropped(count)], at + timedelta(minutes=minute))
        return await connection.fetchval("SELECT last_at FROM broker_trouble")

    assert await said(0, 0) is None
    assert await said(5, 1) == at + timedelta(minutes=1)
    assert await said(5, 2) == at + timedelta(minutes=1)
    assert await said(0, 3) == at + timedelta(minutes=1), "it was restarted"
    assert await said(3, 4) == at + timedelta(minutes=4)


async def test_nats_is_asked_over_http_and_that_it_is_away_is_no_answer(nats_server: NatsServer) -> None:
    assert await ask_nats(nats_server.monitoring_url) == []
    nats_server.stop()
    with pytest.raises(OSError, match="ConnectError"):
        await ask_nats(nats_server.monitoring_url)


async def test_nats_which_says_nothing_under_sys_is_spoken_to_all_the_same(nats_url: str) -> None:
    async with Speaker(nats_url, "test-speaker-nats", hears_of_broker=True) as speaker:
        await until_true(lambda: speaker.connected, "a connection")
        speaker.publish("pumps/v1/nobody/telemetry", b"{}")
        assert speaker.dropped is None
