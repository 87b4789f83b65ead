"""What can happen to a cluster under load? One function each; every one leaves everything running again."""

import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from service.exits import EXIT_OK
from service.postgres.shard_owners import want
from tests.failures.cluster.stage import ClusterIngester, ClusterStage
from tests.patience import until_found, until_true

ClusterMishap = Callable[[ClusterStage], Awaitable[None]]
MEANWHILE = 100
"""Readings that are stored while something is away."""
MOVED = 5

_turns: Iterator[int] = count()


def _next(here: ClusterStage) -> ClusterIngester:
    """Another one each time."""
    return here.ingester.each[next(_turns) % len(here.ingester.each)]


async def node_killed(here: ClusterStage) -> None:
    """Those that are left go on; the sessions on it are taken up on another one."""
    node = here.broker.nodes[next(_turns) % len(here.broker.nodes)]
    since = await here.now()
    node.kill()
    await here.until_all_is_heard(since)
    await here.stored_more(MEANWHILE)
    node.start()
    await here.broker.until_ready()


async def ingester_killed(here: ClusterStage) -> None:
    """The others take over what it had."""
    one = _next(here)
    since = await here.now()
    await one.kill()
    await here.until_taken_over(since)
    await here.stored_more(MEANWHILE)
    await one.start()
    await here.until_shared()


async def ingester_hung(here: ClusterStage) -> None:
    """It is taken for gone; when it wakes up, its batch is refused, and it ends."""
    one = _next(here)
    since, superseded = await here.now(), one.superseded
    os.kill(one.pid, signal.SIGSTOP)
    try:
        await here.until_taken_over(since)
        await here.stored_more(MEANWHILE)
    finally:
        os.kill(one.pid, signal.SIGCONT)
    await until_true(lambda: one.superseded > superseded, "it to find itself superseded")
    await here.until_shared()


async def all_but_one_ingester_killed(here: ClusterStage) -> None:
    dead = here.ingester.each[1:]
    since = await here.now()
    for one in dead:
        await one.kill()
    await here.until_taken_over(since)
    for one in dead:
        await one.start()
    await here.until_shared()


async def node_and_ingester_killed_together(here: ClusterStage) -> None:
    one, node = _next(here), here.broker.nodes[next(_turns) % len(here.broker.nodes)]
    since = await here.now()
    node.kill()
    await one.kill()
    await here.until_all_is_heard(since)
    await one.start()
    node.start()
    await here.broker.until_ready()
    await here.until_shared()


async def ingesters_restarted_in_turn(here: ClusterStage) -> None:
    """A rolling restart: each gives its shards back, and takes a part again."""
    for one in here.ingester.each:
        since = await here.now()
        assert await one.stop() == EXIT_OK
        await here.until_all_is_heard(since)
        await one.start()
        await here.until_shared()


async def nodes_restarted_in_turn(here: ClusterStage) -> None:
    for node in here.broker.nodes:
        since = await here.now()
        node.stop()
        await here.until_all_is_heard(since)
        node.start()
        await here.broker.until_ready()


async def shards_moved(here: ClusterStage) -> None:
    """From one ingester to another, as a person asks; then it is anyone's again."""
    owners = await here.owners()
    moved = owners["i0"][:MOVED]
    await want(here.connection, moved, "i1")
    await until_found(here.owners, "the shards to be moved", enough=lambda now: set(moved) <= set(now["i1"]))
    since = await here.now()
    await here.until_all_is_heard(since)
    await want(here.connection, moved, None)


KILLS: list[ClusterMishap] = [node_killed, ingester_killed, ingester_hung, node_and_ingester_killed_together]
MOVES: list[ClusterMishap] = [shards_moved, ingesters_restarted_in_turn, nodes_restarted_in_turn]
