"""Which parts make up a running role? One straight function each: nothing is composed anywhere else."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Final

import asyncpg
from prometheus_client import CollectorRegistry

from service.beginning import answered, housekeeping, last_of_file, now, rulebook_source
from service.core.address import Allowed
from service.core.broker import Report, dropped
from service.core.fleet import Fleet
from service.core.rulebook import DEFAULT_RULEBOOK, Problem, Rulebook
from service.core.shards import parse_shards
from service.exits import EXIT_PROBLEMS
from service.logs import tell
from service.loops.broker_watch import watch_broker
from service.loops.canary import Canary
from service.loops.deliver import deliver as deliver_loop
from service.loops.guard import Guard
from service.loops.ingest import Ingester
from service.loops.letters import Letters
from service.loops.maintain import look_after, maintain
from service.loops.outage_memory import OutageMemory
from service.loops.replaying import Rereading
from service.loops.rulebook import RulebookSource, follow
from service.loops.shards import Shards
from service.loops.watch import Lookout
from service.loops.watch import watch as watch_loop
from service.metrics import Metrics
from service.mqtt.credentials import Credentials, credentials_of
from service.mqtt.inbox import MqttInbox
from service.mqtt.inboxes import MqttInboxes
from service.mqtt.monitor import ask_nats
from service.mqtt.speaker import Speaker
from service.ports import FencedError, MarkedInbox
from service.postgres.alerts import AlertStore
from service.postgres.aside import PostgresReplays
from service.postgres.broker import record
from service.postgres.canary_rounds import PostgresRounds
from service.postgres.canary_rounds import set_up as set_up_canary
from service.postgres.heartbeat import beat
from service.postgres.ingest_store import PostgresIngestStore
from service.postgres.latest import session_recorded
from service.postgres.leases import PostgresLeases
from service.postgres.outage import OUTAGES, outages_told
from service.postgres.outbox import PLANS, PostgresOutbox
from service.postgres.pool import pool_of
from service.postgres.probe import PostgresProbe
from service.postgres.rulebooks import enter_into_force
from service.postgres.waking import woken_by
from service.postgres.watchtower import PostgresWatchtower
from service.postgres.workers import at_work
from service.settings import Settings
from service.vault import VaultError, vault_of
from service.webhooks.destination import Checked
from service.webhooks.direct import DirectLine
from service.webhooks.own import OwnAddress, own_host, own_tls
from service.webhooks.sender import HttpSender, trusted

HEARTBEAT_EVERY_S: Final = 2.0
ENDS_WITHIN_S: Final = 5.0

Role = Callable[[Settings, asyncio.Event], Awaitable[None]]


async def run(role: Role, settings: Settings) -> None:
    """Run `role` until SIGTERM or SIGINT. What then still waits for a neighbour is left: whoever starts next does it
    again.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(role(settings, stop))
    told = asyncio.create_task(stop.wait())
    await asyncio.wait([work, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    await asyncio.wait([work], timeout=ENDS_WITHIN_S)
    if not work.done():
        tell("ending_while_waiting", logging.WARNING)
        work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def ingest(settings: Settings, stop: asyncio.Event) -> None:
    """Take what the pumps say: the only role that reads the broker."""
    # Messages come by the thousand and are in no cycle: to look for one every few hundred took a sixth of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    metrics = Metrics(CollectorRegistry())
    credentials = credentials_of(settings, "ingest")
    async with pool_of(settings.database_url, "ingest", most=2) as pool:
        last = await last_of_file(settings, pool)
        await answered(lambda: look_after(housekeeping(settings, pool), now, settings.retention_d))
        recorded = await answered(lambda: session_recorded(pool, settings.shard))
        if settings.shards:
            await _ingest_by_lease(settings, pool, credentials, metrics, last, stop)
            return
        inbox = MqttInbox(
            settings.broker_url,
            f"pumpwatch-ingest-{settings.shard}",
            [settings.topic_filter],
            marker_topic=f"pumpwatch/marker/{settings.shard}",
            clock=now,
            metrics=metrics,
            session_recorded=recorded,
            session_suffix=settings.session_suffix,
            credentials=credentials,
        )
        store = PostgresIngestStore(settings.database_url, settings.shard, AlertStore(last))
        reread = Rereading(inbox, PostgresReplays(pool, now), [settings.shard])
        ingester = await _ingester(settings, reread, store, metrics, last)
        with _ending_when_fenced():
            await ingester.run(f"pumpwatch-ingest-{settings.shard}", stop)


async def _ingest_by_lease(
    settings: Settings,
    pool: asyncpg.Pool,
    credentials: Credentials | None,
    metrics: Metrics,
    last: Rulebook,
    stop: asyncio.Event,
) -> None:
    """Of a cluster's shards, our part."""
    instance = settings.instance or f"{socket.gethostname()[:30]}-{os.getpid()}"
    inbox = MqttInboxes(
        settings.broker_url,
        clock=now,
        metrics=metrics,
        session_suffix=settings.session_suffix,
        credentials=credentials,
    )
    store = PostgresIngestStore(settings.database_url, None, AlertStore(last), instance)
    reread = Rereading(inbox, PostgresReplays(pool, now))
    ingester = await _ingester(settings, reread, store, metrics, last)
    leases = PostgresLeases(settings.database_url, instance, parse_shards(settings.shards))
    with _ending_when_fenced():
        await Shards(leases, inbox, ingester).run(stop)


async def _ingester(
    settings: Settings, inbox: MarkedInbox, store: PostgresIngestStore, metrics: Metrics, last: Rulebook
) -> Ingester:
    source = RulebookSource(settings.rulebook, store.overrides, metrics, last)
    fleet, is_open = Fleet(await source.look(now())), settings.enrolment == "open"
    return Ingester(inbox, store, fleet, metrics, now, enrolment_open=is_open, rulebooks=source)


@contextmanager
def _ending_when_fenced() -> Iterator[None]:
    try:
        yield
    except FencedError as error:
        tell("ingester_fenced", logging.ERROR, reason=error)
        raise SystemExit(EXIT_PROBLEMS) from None


async def watch(settings: Settings, stop: asyncio.Event) -> None:
    """Judge silence from the database alone, and keep the store fit: one leader. Guard the way to people: each."""
    after = timedelta(seconds=settings.outage_after_s)
    metrics = Metrics(CollectorRegistry())
    async with (
        pool_of(settings.database_url, "watch", most=4) as pool,
        _speaker(settings) as speaker,
        _line(settings, settings.outage_url) as line,
        _line(settings, settings.heartbeat_url) as outside,
        asyncio.TaskGroup() as tasks,
    ):
        guard = Guard(
            PostgresProbe(settings.database_url, after),
            now,
            metrics,
            after=after,
            line=line,
            outside=outside,
            heartbeat_every=timedelta(seconds=settings.heartbeat_every_s),
            memory=None if settings.metrics_dir is None else OutageMemory(settings.metrics_dir),
        )
        tasks.create_task(guard.run(stop))  # before anything that waits for the database
        source = await rulebook_source(settings, pool)
        rulebook = await answered(lambda: source.look(now()))
        alert_store = AlertStore(rulebook)
        tower = PostgresWatchtower(settings.database_url, alert_store, rulebook, outage_after=after, also=guard.storage)
        lookout = Lookout(now)

        async def use(rulebook: Rulebook, _: Sequence[Problem]) -> None:
            with outages_told():
                async with pool.acquire() as connection:
                    await enter_into_force(connection, rulebook, now())
            tower.use(rulebook)

        tasks.create_task(follow(source, use, now, stop))
        tasks.create_task(_heartbeat(pool, "watch", stop, lambda: lookout.problem))
        tasks.create_task(maintain(housekeeping(settings, pool), now, settings.retention_d, stop))
        tasks.create_task(watch_loop(tower, now, stop, lookout))
        tasks.create_task(_watch_broker(settings, pool, speaker, metrics, stop))
        tasks.create_task(_keep_canary(settings, pool, speaker, alert_store, metrics, stop, guard.all_well))


def _speaker(settings: Settings) -> Speaker:
    name, credentials = f"pumpwatch-canary-{token_hex(4)}", credentials_of(settings, "watch")
    return Speaker(settings.broker_url, name, hears_of_broker=True, credentials=credentials)


async def _watch_broker(
    settings: Settings, pool: asyncpg.Pool, speaker: Speaker, metrics: Metrics, stop: asyncio.Event
) -> None:
    async def ask() -> Sequence[Report]:
        if settings.broker_monitor_url:
            return await ask_nats(settings.broker_monitor_url)
        return [] if speaker.dropped is None else [dropped(speaker.dropped)]

    async def keep(reports: Sequence[Report], now: datetime) -> None:
        with outages_told():
            async with pool.acquire() as connection:
                await record(connection, reports, now)

    await watch_broker(ask, keep, metrics, now, stop)


async def _keep_canary(
    settings: Settings,
    pool: asyncpg.Pool,
    speaker: Speaker,
    alert_store: AlertStore,
    metrics: Metrics,
    stop: asyncio.Event,
    all_well: asyncio.Event,
) -> None:
    every, within = timedelta(seconds=settings.canary_every_s), timedelta(seconds=settings.canary_within_s)
    vault = vault_of(settings)

    async def set_up() -> None:
        async with pool.acquire() as connection:
            await set_up_canary(connection, vault, settings.canary_address, every=every, within=within)

    try:
        await answered(set_up)
    except VaultError as error:
        tell("canary_not_possible", logging.ERROR, reason=error)
        return
    if every:
        rounds = PostgresRounds(settings.database_url, alert_store)
        await Canary(rounds, speaker, now, metrics, every=every, within=within).run(stop, all_well)


async def deliver(settings: Settings, stop: asyncio.Event) -> None:
    """Send what the outbox holds: any number of these."""
    metrics = Metrics(CollectorRegistry())
    vault = vault_of(settings)
    letters = Letters(settings.public_url.rstrip("/"), vault.link_keys[0] if vault.has_key else None)
    async with (
        pool_of(settings.database_url, "deliver", most=8, plans=PLANS) as pool,
        HttpSender(trusted(settings.webhook_ca), Checked(Allowed.parse(settings.webhook_allow))) as outside,
        HttpSender(own_tls(settings), Checked(own_host(settings))) as inside,
        woken_by(settings.database_url) as wake,
        at_work(settings.database_url) as worker,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(_heartbeat(pool, "deliver", stop))
        outbox = PostgresOutbox(pool, vault, worker)
        sender = OwnAddress(settings.canary_address, inside=inside, outside=outside)
        tasks.create_task(
            deliver_loop(outbox, sender, metrics=metrics, clock=now, stop=stop, wake=wake, letters=letters)
        )


async def api(settings: Settings, stop: asyncio.Event) -> None:
    """Answer people and dashboards."""
    # Most of what there is to load, and no other role needs it.
    from service.api.app import create_app, judge_by  # noqa: PLC0415
    from service.api.server import listen, serve, tls_files  # noqa: PLC0415
    from service.web.mount import with_board  # noqa: PLC0415

    metrics = Metrics(CollectorRegistry())
    tls = tls_files(settings)
    listening = listen(settings.api_host, settings.api_port)
    async with pool_of(settings.database_url, "api", most=10, traceless=True) as pool:
        alert_store = AlertStore(DEFAULT_RULEBOOK)
        app = create_app(pool, settings, metrics, now, alert_store)

        async def use(rulebook: Rulebook, problems: Sequence[Problem]) -> None:
            alert_store.use(rulebook)
            judge_by(app, rulebook, problems)

        async def follow_rulebook() -> None:
            await follow(await rulebook_source(settings, pool), use, now, stop)

        following = asyncio.create_task(follow_rulebook())
        serving = asyncio.create_task(serve(app, listening, whole=with_board(app, metrics), tls=tls))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, stopping, following):
            task.cancel()
        await asyncio.gather(serving, stopping, following, return_exceptions=True)


@asynccontextmanager
async def _line(settings: Settings, url: str) -> AsyncIterator[DirectLine | None]:
    if not url:
        yield None
        return
    form = settings.outage_format if url == settings.outage_url else "pumpwatch"
    async with DirectLine(url, settings.outage_secret, form, trusted(settings.webhook_ca)) as line:
        yield line


async def _heartbeat(
    pool: asyncpg.Pool, role: str, stop: asyncio.Event, problem: Callable[[], str] = lambda: ""
) -> None:
    """Say that this role lives, and how it is, while the database is there to hear it."""
    instance = f"{socket.gethostname()}/{os.getpid()}"
    while not stop.is_set():
        with suppress(*OUTAGES):
            await beat(pool, role, instance, now(), problem())
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_EVERY_S):
                await stop.wait()
