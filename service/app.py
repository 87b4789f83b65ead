"""Which parts make up a running role? One straight function each: nothing is composed anywhere else."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

import asyncpg
from prometheus_client import CollectorRegistry

from service.api.app import create_app
from service.api.server import listen, serve
from service.core.fleet import Fleet
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from service.exits import EXIT_PROBLEMS
from service.logs import tell
from service.loops.deliver import deliver as deliver_loop
from service.loops.ingest import Ingester
from service.loops.maintain import look_after, maintain
from service.loops.watch import watch as watch_loop
from service.metrics import Metrics
from service.mqtt.inbox import MqttInbox
from service.ports import FencedError, StoreUnavailableError
from service.postgres.alerts import AlertStore
from service.postgres.heartbeat import beat
from service.postgres.ingest_store import PostgresIngestStore
from service.postgres.latest import session_recorded
from service.postgres.outage import OUTAGES, outages_told
from service.postgres.outbox import PLANS, PostgresOutbox, woken_by
from service.postgres.partitions import PostgresHousekeeping
from service.postgres.rulebooks import enter_into_force, newest_text
from service.postgres.watchtower import PostgresWatchtower
from service.settings import Settings
from service.webhooks.sender import HttpSender

HEARTBEAT_EVERY_S: Final = 2.0
DATABASE_AGAIN_S: Final = 1.0
ENDS_WITHIN_S: Final = 5.0

Role = Callable[[Settings, asyncio.Event], Awaitable[None]]
Answer = TypeVar("Answer")


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
    async with _pool(settings, most=2) as pool:
        rulebook = await rulebook_in_force(settings, pool)
        await _answered(lambda: look_after(PostgresHousekeeping(pool), _now, settings.retention_d))
        recorded = await _answered(lambda: session_recorded(pool, settings.shard))
    inbox = MqttInbox(
        settings.broker_url,
        f"pumpwatch-ingest-{settings.shard}",
        [settings.topic_filter],
        marker_topic=f"pumpwatch/marker/{settings.shard}",
        clock=_now,
        metrics=metrics,
        session_recorded=recorded,
    )
    store = PostgresIngestStore(settings.database_url, settings.shard, AlertStore(rulebook))
    ingester = Ingester(inbox, store, Fleet(rulebook), metrics, _now, enrolment_open=settings.enrolment == "open")
    try:
        await ingester.run(f"pumpwatch-ingest-{settings.shard}", stop)
    except FencedError as error:
        tell("ingester_fenced", logging.ERROR, reason=error)
        raise SystemExit(EXIT_PROBLEMS) from None


async def watch(settings: Settings, stop: asyncio.Event) -> None:
    """Judge silence from the database alone, and keep the store fit: one leader."""
    async with _pool(settings, most=4) as pool, asyncio.TaskGroup() as tasks:
        rulebook = await rulebook_in_force(settings, pool)
        tower = PostgresWatchtower(settings.database_url, AlertStore(rulebook), rulebook)
        tasks.create_task(_heartbeat(pool, "watch", stop))
        tasks.create_task(maintain(PostgresHousekeeping(pool), _now, settings.retention_d, stop))
        tasks.create_task(watch_loop(tower, _now, stop))


async def deliver(settings: Settings, stop: asyncio.Event) -> None:
    """Send what the outbox holds: any number of these."""
    metrics = Metrics(CollectorRegistry())
    async with (
        _pool(settings, most=8, plans=PLANS) as pool,
        HttpSender() as sender,
        woken_by(settings.database_url) as wake,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(_heartbeat(pool, "deliver", stop))
        tasks.create_task(deliver_loop(PostgresOutbox(pool), sender, metrics=metrics, clock=_now, stop=stop, wake=wake))


async def api(settings: Settings, stop: asyncio.Event) -> None:
    """Answer people and dashboards."""
    metrics = Metrics(CollectorRegistry())
    listening = listen(settings.api_host, settings.api_port)
    async with _pool(settings, most=10) as pool:
        rulebook = DEFAULT_RULEBOOK if settings.rulebook is None else _parsed(settings) or DEFAULT_RULEBOOK
        app = create_app(pool, settings, metrics, _now, AlertStore(rulebook), rulebook=rulebook)
        serving = asyncio.create_task(serve(app, listening))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        stopping.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)


async def _heartbeat(pool: asyncpg.Pool, role: str, stop: asyncio.Event) -> None:
    """Say that this role lives, while the database is there to hear it."""
    instance = f"{socket.gethostname()}/{os.getpid()}"
    while not stop.is_set():
        with suppress(*OUTAGES):
            await beat(pool, role, instance, _now())
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), HEARTBEAT_EVERY_S)


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def _pool(settings: Settings, most: int, plans: dict[str, str] | None = None) -> AsyncIterator[asyncpg.Pool]:
    """A pool that connects when it is first used: a database that is away keeps nobody from starting."""
    pool = asyncpg.create_pool(
        settings.database_url, min_size=0, max_size=most, timeout=5, command_timeout=60, server_settings=plans
    )
    await pool.__aenter__()
    try:
        yield pool
    finally:
        pool.terminate()


async def rulebook_in_force(settings: Settings, pool: asyncpg.Pool) -> Rulebook:
    """The rulebook of the settings; where it has problems they are told, and the one last in force stays so."""
    parsed = DEFAULT_RULEBOOK if settings.rulebook is None else _parsed(settings)

    async def enter() -> Rulebook:
        rulebook = parsed
        if rulebook is None:
            kept = parse_rulebook(await newest_text(pool) or "")
            rulebook = kept if isinstance(kept, Rulebook) else DEFAULT_RULEBOOK
        await enter_into_force(pool, rulebook)
        return rulebook

    rulebook = await _answered(enter)
    tell("rulebook_in_force", version=rulebook.version)
    return rulebook


async def _answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What the database answers, asked until it does."""
    while True:
        try:
            with outages_told():
                return await ask()
        except StoreUnavailableError as error:
            tell("database_unreachable", reason=error)
            await asyncio.sleep(DATABASE_AGAIN_S)


def _parsed(settings: Settings) -> Rulebook | None:
    if settings.rulebook is None:
        return None
    found = parse_rulebook(settings.rulebook.read_text(encoding="utf-8"))
    if isinstance(found, Rulebook):
        return found
    for problem in found:
        tell("rulebook_refused", logging.ERROR, at=f"{settings.rulebook}:{problem.line}", problem=problem.message)
    return None
