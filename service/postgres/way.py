"""Which parts of our own way from a pump to a person do the tables show to be broken?"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.core.change import Condition
from service.core.lifecycle import AlertWritten
from service.core.shards import ranges_of
from service.core.way import JUDGED, Broken, Told, turns
from service.postgres import broker, canary
from service.postgres.alerts import AlertStore

MARK_EVERY: Final = timedelta(seconds=5)
"""What a marker may take although nothing is wrong: the ingester sends one so often."""
TROUBLE_SAID_WITHIN: Final = timedelta(seconds=15)
"""An ingester that cannot write says so each time that it tries again (postgres/fence.py)."""
SLOW_S: Final = 5.0
FAILING_FOR: Final = timedelta(seconds=60)
NEWS_HELD_S: Final = 600.0
"""That an endpoint is gone is told to the others at once (postgres/outbox.py); the alert is for what stays so."""
DEGRADED_HELD_FOR: Final = timedelta(seconds=20)
"""A node that is started anew, or an election, is over by then."""

_TOLD: Final = "SELECT subject, condition FROM alert WHERE state = 'active' AND condition = ANY ($1::text[])"


async def look_once(
    connection: asyncpg.Connection,
    alert_store: AlertStore,
    also: Iterable[Broken],
    after: timedelta,
    now: datetime,
    *,
    readable_since: datetime | None = None,
) -> list[AlertWritten]:
    """Make the alerts of the service say what is broken at `now`, and has been for `after`; `also`: seen elsewhere.

    `readable_since`: who could not be heard before that is not called silent for it.
    """
    told = {(row["subject"], Condition(row["condition"])) for row in await connection.fetch(_TOLD, sorted(JUDGED))}
    found = [*await broken(connection, after, now), *await _broker(connection, told, now), *also]
    if readable_since is not None and now - readable_since < max(after, TROUBLE_SAID_WITHIN):
        found = [each for each in found if each.condition is not Condition.ROLE_SILENT]
    changes = turns(found, told, now)
    if not changes:
        return []
    async with connection.transaction():
        return await alert_store.apply(connection, changes, now)


async def broken(connection: asyncpg.Connection, after: timedelta, now: datetime) -> list[Broken]:
    """But for what the broker says of itself: how long that goes on depends on what is told of."""
    return [
        *await _ingest(connection, after, now),
        *await _deliver(connection, after, now),
        *await _given_up(connection, now),
        *await _endpoints(connection, now),
        *await _canary(connection, now),
    ]


# Each shard with its ingester: what that says, and whether it waits for the database at this moment.
_INGEST: Final = """
SELECT s.shard, s.instance, s.reason, s.trouble_since, s.marker_at, beat.at AS heard_at, beat.reason AS said, (
    SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::float8 FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'pumpwatch-ingest-' || coalesce(s.instance, s.shard::text)
) AS writing_for_s
FROM shard AS s
LEFT JOIN role_heartbeat AS beat ON beat.role = 'ingest' AND beat.instance = coalesce(s.instance, 'shard-' || s.shard)
ORDER BY s.shard
"""


async def _ingest(connection: asyncpg.Connection, after: timedelta, now: datetime) -> list[Broken]:
    rows = await connection.fetch(_INGEST)
    found = ((row, _of_shard(row, after, now)) for row in rows)
    return _by_ingester([(row, each) for row, each in found if each is not None])


def _by_ingester(found: Sequence[tuple[asyncpg.Record, Broken]]) -> list[Broken]:
    """What is broken of many shards of one ingester is told once."""
    told_once: dict[tuple[str, Condition], list[tuple[int, Broken]]] = {}
    for row, each in found:
        part = each.part if row["instance"] is None else f"ingest-{row['instance']}"
        told_once.setdefault((part, each.condition), []).append((row["shard"], each))
    return [
        replace(
            first := min((each for _, each in some), key=lambda each: each.since),
            part=part,
            evidence=first.evidence
            if len(some) == 1 or "shard" not in first.evidence
            else {**first.evidence, "shard": ranges_of([shard for shard, _ in some])},
        )
        for (part, _), some in told_once.items()
    ]


def _of_shard(row: asyncpg.Record, after: timedelta, now: datetime) -> Broken | None:
    shard, marker_at, heard_at = row["shard"], row["marker_at"], row["heard_at"]
    writing_for_s = row["writing_for_s"] or 0.0
    if heard_at is not None and now - heard_at >= max(after, TROUBLE_SAID_WITHIN) and writing_for_s < SLOW_S:
        whose = f"the ingester {row['instance']}" if row["instance"] else f"the ingester of shard {shard}"
        return _silent(f"ingest-{shard}", whose, "takes what pumps send", heard_at)
    if row["trouble_since"] is not None:
        if now - row["trouble_since"] < after:
            return None
        return Broken(
            condition=Condition.BROKER_UNAVAILABLE,
            part=f"shard-{shard}",
            since=row["trouble_since"],
            evidence={"shard": str(shard), "reason": row["reason"]},
        )
    if marker_at is None or now - marker_at < MARK_EVERY + after:
        return None
    waited_s = (now - marker_at).total_seconds()
    reason = f"its marker through the broker has not come back for {waited_s:.0f} s; more comes than can be stored"
    if (row["said"] or "").startswith("database"):
        reason = row["said"]
    elif writing_for_s >= SLOW_S:
        reason = (
            f"a transaction has been under way for {writing_for_s:.0f} s; "
            "the database is slow, or something holds it up"
        )
    return Broken(
        condition=Condition.INGEST_LAGGING,
        part=f"shard-{shard}",
        since=marker_at,
        evidence={"shard": str(shard), "reason": reason},
    )


def _silent(part: str, role: str, does: str, heard_at: datetime) -> Broken:
    return Broken(
        condition=Condition.ROLE_SILENT,
        part=part,
        since=heard_at,
        evidence={"role": role, "does": does},
        by_since=True,
    )


# Any of them will do.
_DELIVER: Final = "SELECT max(at) FROM role_heartbeat WHERE role = 'deliver'"


async def _deliver(connection: asyncpg.Connection, after: timedelta, now: datetime) -> list[Broken]:
    heard_at: datetime | None = await connection.fetchval(_DELIVER)
    if heard_at is None or now - heard_at < after:
        return []
    return [_silent("deliver", "the role deliver", "sends what people are to be told", heard_at)]


# What people were to be told of pumps and sites, and were not. Of the service's own alerts it is not told: that would
# be given up as well, for ever.
_GIVEN_UP: Final = """
SELECT count(*) AS count, min(n.settled_at) AS since, string_agg(DISTINCT e.name, ', ') AS endpoints
FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint JOIN alert AS a ON a.id = n.alert_id
WHERE n.state = 'failed' AND n.settled_at > $1::timestamptz - interval '24 hours'
    AND n.kind NOT IN ('acknowledged', 'resolved') AND NOT starts_with(a.subject, 'service:')
    AND e.deleted_at IS NULL AND NOT e.canary
"""


async def _given_up(connection: asyncpg.Connection, now: datetime) -> list[Broken]:
    row = await connection.fetchrow(_GIVEN_UP, now)
    if not row["count"]:
        return []
    evidence = {"count": row["count"], "endpoints": row["endpoints"]}
    return [Broken(condition=Condition.DELIVERY_GIVEN_UP, part="delivery", since=row["since"], evidence=evidence)]


# Endpoints that are only probed, and those that their owner's server has ended.
_ENDPOINTS: Final = """
SELECT e.name, e.enabled, e.disabled_reason, c.opened_at FROM endpoint AS e LEFT JOIN circuit AS c ON c.endpoint = e.id
WHERE e.deleted_at IS NULL AND NOT e.canary
    AND CASE WHEN e.enabled THEN c.opened_at <= $1 ELSE e.disabled_reason = 'it answered 410' END
ORDER BY e.name
"""


async def _endpoints(connection: asyncpg.Connection, now: datetime) -> list[Broken]:
    return [
        Broken(
            condition=Condition.ENDPOINT_FAILING if row["enabled"] else Condition.ENDPOINT_DISABLED,
            part=f"endpoint-{row['name']}",
            since=row["opened_at"] if row["enabled"] else now,
            evidence={"endpoint": row["name"]} | ({} if row["enabled"] else {"reason": row["disabled_reason"]}),
            hold_s=0.0 if row["enabled"] else NEWS_HELD_S,
        )
        for row in await connection.fetch(_ENDPOINTS, now - FAILING_FOR)
    ]


async def _canary(connection: asyncpg.Connection, now: datetime) -> list[Broken]:
    lost = await canary.lost(connection, now)
    if lost is None:
        return []
    evidence: dict[str, float | int | str] = {"within_s": lost.within_s, "reason": lost.reason}
    condition = Condition.CANARY_LOST
    return [Broken(condition=condition, part="canary", since=lost.since, evidence=evidence, by_since=True)]


_BROKER: Final = """
SELECT since, reason FROM broker_trouble WHERE condition = $1 AND last_at > $2 AND last_at - since >= $3 ORDER BY what
"""


async def _broker(connection: asyncpg.Connection, told: Told, now: datetime) -> Sequence[Broken]:
    """What is told of goes on while a trouble is seen, however new, and while nobody knows."""
    found = []
    for condition, told_for, held_for, whole_for in (
        (Condition.BROKER_DROPPING, broker.DROPS_TOLD_FOR, timedelta(0), timedelta(0)),
        (Condition.BROKER_DEGRADED, broker.DEGRADED_TOLD_FOR, DEGRADED_HELD_FOR, broker.DEGRADED_TOLD_FOR),
    ):
        each = Broken(condition=condition, part="broker", since=now)
        goes_on = (each.subject, condition) in told
        if rows := await connection.fetch(_BROKER, condition, now - told_for, timedelta(0) if goes_on else held_for):
            reason = "; ".join(row["reason"] for row in rows)
            found.append(replace(each, since=min(row["since"] for row in rows), evidence={"reason": reason}))
        elif goes_on and not await broker.answers(connection, whole_for, now):
            found.append(each)
    return found
