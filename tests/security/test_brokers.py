"""Who comes in at the broker, and what may be said and heard there: real clients, on the configuration we write."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.core.shards import shard_of
from tests.patience import until_found, until_true
from tests.security.client import REFUSED, Client, RefusedError
from tests.security.conftest import ENDED, GOOD, OTHER, REVOKED
from tests.security.installation import Installation, SecuredBroker, SecuredNats, SecuredNatsByShard, context

TELEMETRY = f"pumps/v1/{GOOD}/telemetry"
SESSION = "pumpwatch-ingest-0"


@asynccontextmanager
async def ingester(broker: SecuredBroker) -> AsyncIterator[Client]:
    client = await Client.connect(broker.port, broker.installation.service("ingest"))
    assert await client.subscribe("pumps/v1/+/+", 1) == 1
    yield client
    await client.close()


@asynccontextmanager
async def pump(broker: SecuredBroker, name: str = GOOD, **options: object) -> AsyncIterator[Client]:
    client = await Client.connect(broker.port, broker.installation.pump(name), **options)  # type: ignore[arg-type]
    yield client
    await client.drop()


async def still_works(broker: SecuredBroker, ingest: Client, good: Client) -> None:
    """The good pump is heard, and hears its receipt; what was said before that has arrived by then or never will."""
    heard = len(ingest.heard)
    await good.publish(TELEMETRY, b"still here")
    assert not good.over.is_set()
    await until_true(lambda: (TELEMETRY, b"still here") in ingest.heard[heard:], "the good pump to be heard")
    assert not ingest.over.is_set()
    receipts = len(good.heard)
    assert await good.subscribe(f"receipts/v1/{GOOD}") == 0
    await ingest.publish(f"receipts/v1/{GOOD}", b"receipt")
    await until_true(lambda: len(good.heard) > receipts, "the receipt")
    assert set(good.heard) == {(f"receipts/v1/{GOOD}", b"receipt")}


async def test_a_pump_says_what_it_measured_and_hears_its_receipts(broker: SecuredBroker) -> None:
    async with ingester(broker) as ingest, pump(broker) as good:
        for kind in ("telemetry", "event", "status"):
            await good.publish(f"pumps/v1/{GOOD}/{kind}", kind.encode())
        await until_true(lambda: len(ingest.heard) == 3, "all three")
        await still_works(broker, ingest, good)


def nobody(installation: Installation, _: Path) -> ssl.SSLContext:
    return installation.nobody()


def forged(installation: Installation, directory: Path) -> ssl.SSLContext:
    return installation.forged(directory, GOOD)


def ended(installation: Installation, _: Path) -> ssl.SSLContext:
    return installation.pump(ENDED)


def revoked(installation: Installation, _: Path) -> ssl.SSLContext:
    return installation.pump(REVOKED)


def servers(installation: Installation, _: Path) -> ssl.SSLContext:
    return installation.server()


@pytest.mark.parametrize("who", [nobody, forged, ended, revoked, servers], ids=lambda who: who.__name__)
async def test_who_cannot_show_a_certificate_that_counts_stays_outside(
    broker: SecuredBroker, who: Callable[[Installation, Path], ssl.SSLContext], tmp_path: Path
) -> None:
    async with ingester(broker) as ingest, pump(broker) as good:
        with pytest.raises(RefusedError):
            await Client.connect(broker.port, who(broker.installation, tmp_path))
        await still_works(broker, ingest, good)


async def test_a_pump_cannot_speak_as_another(broker: SecuredBroker) -> None:
    """Not in its readings, not retained, not in its last will, not in a receipt, and not by giving another's name."""
    async with ingester(broker) as ingest, pump(broker) as good:
        attempts = [
            (TELEMETRY, False),
            (f"pumps/v1/{GOOD}/status", True),
            (f"receipts/v1/{GOOD}", False),
            ("pumpwatch/marker/0", False),
            ("pumps/v1/pumpwatch-canary/event", False),
        ]
        for topic, retain in attempts:
            async with pump(broker, OTHER) as other:
                await other.publish(topic, b"forged", retain=retain)
        async with pump(broker, OTHER, will=(f"pumps/v1/{GOOD}/status", b"forged")):
            pass
        try:
            async with pump(broker, OTHER, user=broker.installation.pumps.name.encode()) as named:
                await named.publish(TELEMETRY, b"forged")
        except RefusedError:
            pass
        await still_works(broker, ingest, good)
        assert b"forged" not in {heard.payload for heard in [*ingest.heard, *good.heard]}


@pytest.mark.parametrize("topic_filter", ["#", "+/+/+/+", "pumps/v1/+/+", "receipts/v1/+", "$MQTT/#", "$SYS/#"])
async def test_a_pump_hears_nothing_of_others_whatever_it_asks_for(broker: SecuredBroker, topic_filter: str) -> None:
    """NATS refuses the subscription; Mosquitto takes it, and delivers nothing that the pump may not hear."""
    async with ingester(broker) as ingest, pump(broker) as good, pump(broker, OTHER) as other:
        for qos in (0, 1):
            answer = await other.subscribe(topic_filter, qos)
            assert answer == (REFUSED if isinstance(broker, SecuredNats) else qos)
        await still_works(broker, ingest, good)
        await until_true(lambda: (TELEMETRY, b"still here") in ingest.heard, "what the other must not hear")
        assert {heard.topic for heard in other.heard} <= {f"receipts/v1/{OTHER}"}


async def test_a_session_whose_name_is_secret_or_tied_to_its_certificate_is_not_taken_over(
    broker: SecuredBroker,
) -> None:
    """Mosquitto names sessions by certificates. NATS does not: the ingester's has an end that nobody can guess."""
    secret = f"{SESSION}-s3cr3t" if isinstance(broker, SecuredNats) else SESSION
    ingest = await Client.connect(
        broker.port, broker.installation.service("ingest"), client_id=secret, keeps_session=True
    )
    assert await ingest.subscribe("pumps/v1/+/+", 1) == 1
    async with pump(broker, client_id=f"pump-{GOOD}-{secret}") as good:
        for name in (SESSION, f"pump-{GOOD}", "service-ingest", GOOD):
            async with pump(broker, OTHER, client_id=name, keeps_session=True) as thief:
                await thief.subscribe("pumps/v1/+/+", 1)
                await still_works(broker, ingest, good)
                assert thief.heard == []
    await ingest.close()


async def test_the_canary_speaks_as_itself_alone_and_a_monitor_says_nothing(broker: SecuredBroker) -> None:
    async with ingester(broker) as ingest, pump(broker) as good:
        for part in ("watch", "monitor"):
            service = await Client.connect(broker.port, broker.installation.service(part))
            await service.publish(TELEMETRY, b"forged")
            await service.drop()
        monitor = await Client.connect(broker.port, broker.installation.service("monitor"))
        assert await monitor.subscribe("pumps/v1/+/+") == 0
        canary = await Client.connect(broker.port, broker.installation.service("watch"))
        await canary.publish("pumps/v1/pumpwatch-canary/telemetry", b"canary")
        await still_works(broker, ingest, good)
        await until_true(lambda: (TELEMETRY, b"still here") in monitor.heard, "the monitor to hear")
        assert ("pumps/v1/pumpwatch-canary/telemetry", b"canary") in ingest.heard
        assert b"forged" not in {heard.payload for heard in ingest.heard}
        await canary.drop()
        await monitor.drop()


async def test_a_certificate_that_is_taken_back_counts_no_more_after_a_reload_and_its_renewal_does(
    broker: SecuredBroker,
) -> None:
    name = f"lost-{broker.name}"
    installation = broker.installation
    installation.issue(name)
    broker.reload()

    async def comes_in(certificate: ssl.SSLContext) -> bool:
        try:
            client = await Client.connect(broker.port, certificate)
        except RefusedError:
            return False
        await client.drop()
        return True

    stolen = installation.pump(name)
    await until_found(lambda: comes_in(stolen), "the new pump to come in")

    installation.run("issue", name, "--renew")
    renewed = installation.pump(name)
    broker.reload()
    await until_found(lambda: comes_in(renewed), "the renewed certificate to count")

    connected = await Client.connect(broker.port, stolen)
    async with ingester(broker) as ingest, pump(broker) as good:
        installation.run("revoke", name, "--but-newest", "--reason", "stolen")
        broker.reload()
        await until_found(
            lambda: comes_in(stolen), "the stolen certificate to be refused", enough=lambda came: not came
        )
        if isinstance(broker, SecuredNats):  # Mosquitto asks again at the next connection only
            await until_true(connected.over.is_set, "the stolen certificate's connection to end")
        await still_works(broker, ingest, good)
    assert await comes_in(renewed)
    await connected.drop()


@pytest.mark.parametrize("broker", [SecuredNats], ids=["nats"], indirect=True)
async def test_plain_nats_lets_no_holder_of_a_certificate_in(broker: SecuredNats) -> None:
    """By name without its certificate, nor with it: every user of ours is for MQTT alone."""
    users = (broker.directory / "users.conf").read_text()
    name = users.partition('"user": "')[2].partition('"')[0]
    assert name
    for connect in (b"{}", b'{"user": "%s"}' % name.encode(), b'{"user": "%s", "pass": ""}' % name.encode()):
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.plain_port)
        assert (await reader.readline()).startswith(b"INFO")
        writer.write(b"CONNECT %s\r\nPING\r\n" % connect)
        assert b"Authorization Violation" in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_where_pumps_are_mapped_to_shards_each_has_the_right_to_its_own_and_no_other(
    installation: Installation, tmp_path: Path
) -> None:
    broker = SecuredNatsByShard(installation, tmp_path)
    broker.start()
    try:
        ingest = await Client.connect(broker.port, installation.service("ingest"))
        shard = shard_of(GOOD)
        for topic_filter in ("shard/+/pumps/v1/+/+", "pumps/#"):
            assert await ingest.subscribe(topic_filter, 1) == 1
        async with pump(broker) as good, pump(broker, OTHER) as other:
            await other.publish(TELEMETRY, b"forged")
            await other.publish(f"shard/{shard}/{TELEMETRY}", b"forged")
            await good.publish(TELEMETRY, b"own")
            await other.publish(f"pumps/v1/{OTHER}/telemetry", b"own")
            await until_true(lambda: len(ingest.heard) == 2, "both")
            assert {tuple(heard) for heard in ingest.heard} == {
                (f"shard/{shard}/{TELEMETRY}", b"own"),
                (f"shard/{shard_of(OTHER)}/pumps/v1/{OTHER}/telemetry", b"own"),
            }
            assert await other.subscribe("shard/#") == REFUSED
            assert await good.subscribe(f"receipts/v1/{GOOD}") == 0
        await ingest.drop()
    finally:
        broker.stop()


def test_a_pumps_key_is_nothing_without_its_certificate(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "mixed.pem").write_bytes((installation.pumps / f"{GOOD}.pem").read_bytes())
    (tmp_path / "mixed.key").write_bytes((installation.pumps / f"{OTHER}.key").read_bytes())
    with pytest.raises(ssl.SSLError):
        context(installation.directory, tmp_path / "mixed")
