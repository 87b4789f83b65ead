"""What can happen to a run? One function each; every one leaves everything running again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from tests.failures.stage import Stage
from tests.patience import until_found, until_true

Mishap = Callable[[Stage], Awaitable[None]]

FORGOTTEN_A_PUMP = 50
_HOLD = "LOCK TABLE stored_reading IN SHARE MODE"  # COPY waits for it; whoever reads does not
_HELD = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'stored_reading'::regclass)"


async def ingester_killed(stage: Stage) -> None:
    await stage.ingester.kill()
    await stage.ingester.start()


async def broker_killed(stage: Stage) -> None:
    stage.broker.kill()
    stage.broker.start()


async def database_killed(stage: Stage) -> None:
    stage.postgres.kill()
    stage.postgres.start()


async def broker_killed_while_the_ingester_is_away(stage: Stage) -> None:
    """What the broker kept for the session may be gone with it; so may be what pumps sent before we subscribe again."""
    await stage.ingester.kill()
    await stage.fleet.measures_more(FORGOTTEN_A_PUMP)
    stage.broker.kill()
    stage.broker.start()
    await stage.fleet.measures_more(FORGOTTEN_A_PUMP)
    await stage.ingester.start()


async def commit_outlasts_the_brokers_patience(stage: Stage) -> None:
    """The broker sends again what it believes lost, while the commit is still under way."""
    async with commits_held(stage) as stored:
        await _something_comes_again(stage)
    await _stored_more_than(stored, stage)


async def ingester_killed_when_a_commit_outlasts_the_brokers_patience(stage: Stage) -> None:
    async with commits_held(stage):
        await _something_comes_again(stage)
        await stage.ingester.kill()
    await stage.ingester.start()


async def ingester_killed_in_a_slow_commit(stage: Stage) -> None:
    async with commits_held(stage):
        await stage.ingester.kill()
    await stage.ingester.start()


async def broker_killed_between_receive_and_settle(stage: Stage) -> None:
    """What is committed then was delivered by a connection that is gone, and is delivered again."""
    async with commits_held(stage) as stored:
        stage.broker.kill()
    await _stored_more_than(stored, stage)
    stage.broker.start()


async def broker_and_then_ingester_killed_between_receive_and_settle(stage: Stage) -> None:
    async with commits_held(stage) as stored:
        stage.broker.kill()
    await _stored_more_than(stored, stage)
    await stage.ingester.kill()
    stage.broker.start()
    await stage.ingester.start()


@asynccontextmanager
async def commits_held(stage: Stage) -> AsyncIterator[int]:
    """The ingester has received something and cannot commit it until the block ends; yield how much it has stored."""
    connection = await asyncpg.connect(stage.database_url)
    try:
        async with connection.transaction():
            await connection.execute(_HOLD)
            await until_found(lambda: connection.fetchval(_HELD), "a commit to be held")
            yield stage.ingester.now("stored")
    finally:
        await connection.close()


async def _stored_more_than(stored: int, stage: Stage) -> None:
    await until_true(lambda: stage.ingester.now("stored") > stored, "the held commit")


async def _something_comes_again(stage: Stage) -> None:
    before = stage.ingester.now("redelivered_while_pending")
    await until_true(
        lambda: stage.ingester.now("redelivered_while_pending") > before, "the broker to send something again"
    )
