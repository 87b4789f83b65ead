"""Which notifications may be sent now, and what became of them?"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from service.core.change import Priority
from service.core.delivery import Attempt, Outcome, lease_s
from service.ports import Claimed, Lane
from service.postgres.outage import OUTAGES, outages_told

CHANNEL = "pumpwatch_outbox"
"""NOTIFY on it says only "wake up"; what there is to do stands in the rows."""

REQUESTS_A_LANE = 4

# Each lane gives up to what it has room for, of what is due and has nothing older of its alert before it.
# A lease moves due_at to its own end, so "due" alone means "may be taken".
# MATERIALIZED: were it inlined, the planner might run it, and lock rows, once for each row it updates.
_CLAIM = """
WITH chosen AS MATERIALIZED (
    SELECT next.id, $1 + make_interval(secs => lane.lease_s) AS lease_until, endpoint.url, endpoint.secret
    FROM endpoint
    CROSS JOIN unnest($2::text[], $3::float8[]) WITH ORDINALITY AS lane (priority, lease_s, turn)
    LEFT JOIN unnest($4::uuid[], $5::text[], $6::integer[]) AS busy (endpoint, priority, requests)
        ON busy.endpoint = endpoint.id AND busy.priority = lane.priority
    CROSS JOIN LATERAL (
        SELECT n.id, n.due_at
        FROM notification n
        WHERE n.endpoint = endpoint.id AND n.priority = lane.priority AND n.state = 'pending' AND n.due_at <= $1
          AND n.number = (
              SELECT oldest.number FROM notification oldest
              WHERE oldest.alert_id = n.alert_id AND oldest.endpoint = n.endpoint AND oldest.state = 'pending'
              ORDER BY oldest.number
              LIMIT 1)
        ORDER BY n.due_at
        LIMIT greatest($7 - coalesce(busy.requests, 0), 0)
        FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE endpoint.enabled
    ORDER BY lane.turn, next.due_at
    LIMIT $8
)
UPDATE notification n
SET lease_token = gen_random_uuid(), lease_until = chosen.lease_until, due_at = chosen.lease_until
FROM chosen
WHERE n.id = chosen.id
RETURNING n.id, n.lease_token, n.lease_until, n.kind, n.priority, n.attempts, n.created_at, n.body::text AS body,
          n.endpoint, chosen.url, chosen.secret
"""

# One statement, so that the attempt, the outcome and a disabled endpoint are committed together.
_RECORD = """
WITH held AS (
    UPDATE notification
    SET state = $3, attempts = attempts + 1, due_at = coalesce($4, due_at), settled_at = $5,
        lease_token = NULL, lease_until = NULL
    WHERE id = $1 AND lease_token = $2
    RETURNING endpoint
), tried AS (
    INSERT INTO attempt (notification_id, number, at, outcome, status, duration_ms, detail)
    VALUES ($1, $6, $7, $8, $9, $10, $11)
), gone AS (
    UPDATE endpoint SET enabled = false FROM held WHERE id = held.endpoint AND $8 = 'gone' AND enabled
    RETURNING id, name
), told AS (
    INSERT INTO audit (actor, action, subject, detail)
    SELECT 'deliver', 'endpoint_disabled', id::text, jsonb_build_object('name', name, 'reason', 'it answered 410')
    FROM gone
)
SELECT EXISTS (SELECT FROM held)
"""

# One index probe a lane.
_NEXT_DUE = """
SELECT min(next.due_at)
FROM endpoint
CROSS JOIN unnest($2::text[]) AS lane (priority)
CROSS JOIN LATERAL (
    SELECT n.due_at
    FROM notification n
    WHERE n.endpoint = endpoint.id AND n.priority = lane.priority AND n.state = 'pending' AND n.due_at > $1
    ORDER BY n.due_at
    LIMIT 1
) AS next
WHERE endpoint.enabled
"""

_PRIORITIES = [str(priority) for priority in sorted(Priority, key=lambda priority: -priority.rank)]
_LEASES_S = [lease_s(Priority(priority)) for priority in _PRIORITIES]


# The outbox is empty at one moment and holds thousands at the next, and statistics know only the first. These make the
# statements above use their indexes whatever the planner believes.
PLANS = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_sort": "off",
    "jit": "off",
}
"""The `server_settings` for the pool of a PostgresOutbox."""


class PostgresOutbox:
    """Any number of workers may share the rows; leases keep them apart.

    Instants come from the caller, so the clocks of the workers' machines must agree to within an attempt's deadline.
    """

    def __init__(self, pool: asyncpg.Pool, requests_a_lane: int = REQUESTS_A_LANE) -> None:
        self._pool = pool
        self._requests_a_lane = requests_a_lane

    async def claim(self, now: datetime, limit: int, busy: Mapping[Lane, int]) -> list[Claimed]:
        endpoints, priorities = [lane[0] for lane in busy], [lane[1] for lane in busy]
        with outages_told():
            rows = await self._pool.fetch(
                _CLAIM,
                now,
                _PRIORITIES,
                _LEASES_S,
                endpoints,
                priorities,
                list(busy.values()),
                self._requests_a_lane,
                limit,
            )
        rows.sort(key=lambda row: _PRIORITIES.index(row["priority"]))
        return [
            Claimed(
                notification_id=row["id"],
                lease_token=row["lease_token"],
                lease_until=row["lease_until"],
                kind=row["kind"],
                priority=row["priority"],
                attempts=row["attempts"],
                created_at=row["created_at"],
                body=row["body"].encode(),
                url=row["url"],
                secret=row["secret"],
                endpoint=row["endpoint"],
            )
            for row in rows
        ]

    async def record(self, claimed: Claimed, attempt: Attempt, now: datetime, retry_at: datetime | None) -> bool:
        given_up_or_not = "failed" if retry_at is None else "pending"
        state = "delivered" if attempt.outcome is Outcome.DELIVERED else given_up_or_not
        began_at = now - timedelta(milliseconds=attempt.duration_ms)
        with outages_told():
            held: bool = await self._pool.fetchval(
                _RECORD,
                claimed.notification_id,
                claimed.lease_token,
                state,
                retry_at,
                None if state == "pending" else now,
                claimed.attempts + 1,
                began_at,
                str(attempt.outcome),
                attempt.status,
                attempt.duration_ms,
                attempt.detail,
            )
        return held

    async def next_due(self, now: datetime) -> datetime | None:
        with outages_told():
            due: datetime | None = await self._pool.fetchval(_NEXT_DUE, now, _PRIORITIES)
        return due


# Only the oldest of an alert and endpoint can have been tried.
_HASTEN = """
UPDATE notification SET due_at = $2
WHERE alert_id = ANY ($1::uuid[]) AND state = 'pending' AND attempts > 0 AND lease_token IS NULL AND due_at > $2
"""


async def hasten(connection: asyncpg.Connection, alerts: Collection[UUID], now: datetime) -> None:
    """Try again at once what failed and has news of its alert behind it: a page must not wait out another's backoff."""
    if alerts:
        await connection.execute(_HASTEN, list(alerts), now)


@asynccontextmanager
async def woken_by(database_url: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set when notifications were committed, and when any may have been missed.

    It listens on a connection of its own, and connects again when that is lost; whoever waits polls as well.
    """
    wake = asyncio.Event()
    listener = asyncio.create_task(_listen(database_url, wake))
    try:
        yield wake
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def _listen(database_url: str, wake: asyncio.Event) -> None:
    while True:
        with suppress(*OUTAGES):
            lost = asyncio.Event()
            connection = await asyncpg.connect(database_url)
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(CHANNEL, lambda *_: wake.set())
                wake.set()
                await lost.wait()
            finally:
                connection.terminate()
        await asyncio.sleep(1)
