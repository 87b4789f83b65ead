"""Which notifications may be sent now, and what became of them? All by the database's clock: workers' may differ."""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from service.carriage import Claimed, GivenUp, Recorded, Swept
from service.core.bodies import endpoint_disabled
from service.core.change import Priority
from service.core.delivery import ANSWERED, ASKS_NOTHING, OPENS_AFTER, Attempt, Outcome, attempt_deadline_s, pause_after
from service.postgres.outage import outages_told
from service.postgres.waking import CHANNEL, UNDELIVERED
from service.postgres.workers import Worker
from service.vault import Vault, VaultError

# Claims take turns: each sees what the one before has leased, so limits hold over all workers.
_MY_TURN: Final = "SELECT pg_advisory_xact_lock(hashtext('pumpwatch claim'))"

# Each lane gives up to what it has room for, of what is due and has nothing older of its alert before it. An endpoint
# whose circuit is open is asked once at a time, when it may be probed. A lease moves due_at to its own end, so "due"
# alone means "may be taken". Of equal priority, endpoints that failed last come last: were there so many that they
# took all the room of a worker, those that answer would wait for them.
# MATERIALIZED: were it inlined, the planner might run it, and lock rows, once for each row it updates.
_CLAIM: Final = """
WITH chosen AS MATERIALIZED (
    SELECT next.notification, endpoint.*, coalesce(endpoint.answer_within_s, lane.deadline_s) AS deadline_s
    FROM endpoint
    LEFT JOIN circuit ON circuit.endpoint = endpoint.id
    CROSS JOIN unnest($1::text[], $2::float8[]) WITH ORDINALITY AS lane (priority, deadline_s, turn)
    CROSS JOIN LATERAL (
        SELECT count(*) AS everywhere, count(*) FILTER (WHERE leased.priority = lane.priority) AS here
        FROM notification AS leased
        WHERE leased.endpoint = endpoint.id AND leased.lease_token IS NOT NULL
            AND leased.lease_until > statement_timestamp()
    ) AS requests
    CROSS JOIN LATERAL (
        SELECT n.id AS notification, n.due_at
        FROM notification n
        WHERE n.endpoint = endpoint.id AND n.priority = lane.priority AND n.state = 'pending'
          AND n.due_at <= statement_timestamp()
          AND (n.alert_id IS NULL OR n.number = (
              SELECT oldest.number FROM notification oldest
              WHERE oldest.alert_id = n.alert_id AND oldest.endpoint = n.endpoint AND oldest.state = 'pending'
              ORDER BY oldest.number
              LIMIT 1))
        ORDER BY n.due_at
        LIMIT CASE
            WHEN CASE lane.priority WHEN 'high' THEN circuit.page_at ELSE circuit.report_at END > statement_timestamp()
                THEN 0
            WHEN circuit.opened_at IS NOT NULL THEN (requests.everywhere = 0)::integer
            ELSE greatest(endpoint.most_requests - requests.here, 0)
        END
        FOR UPDATE SKIP LOCKED
    ) AS next
    WHERE endpoint.enabled
    ORDER BY lane.turn, coalesce(circuit.failures, 0) > 0, next.due_at
    LIMIT $3
)
UPDATE notification n
SET lease_token = gen_random_uuid(), lease_until = statement_timestamp() + make_interval(secs => 2 * deadline_s),
    due_at = statement_timestamp() + make_interval(secs => 2 * deadline_s), leased_by = $4,
    claimed_at = coalesce(claimed_at, statement_timestamp())
FROM chosen
WHERE n.id = chosen.notification
RETURNING n.id AS notification_id, n.lease_token, n.kind, n.priority, n.attempts, n.failures, n.created_at,
    coalesce(n.redriven_at, n.created_at) AS since, n.body::text AS body, n.endpoint, n.alert_id, n.number,
    chosen.deadline_s, chosen.name AS endpoint_name, chosen.url, chosen.format, chosen.template, chosen.routing_key,
    (SELECT array_agg(s.secret ORDER BY s.valid_until DESC) FROM former_secret AS s
     WHERE s.endpoint = n.endpoint AND s.valid_until > statement_timestamp()) AS former_secrets, chosen.secret
"""

# One statement, so that the attempt, the outcome, a disabled endpoint and the news of it are committed together. When a
# circuit closes, what had to wait for it goes at once.
_RECORD: Final = f"""
WITH held AS (
    UPDATE notification
    SET state = $3, attempts = attempts + 1, failures = failures + ($8 <> 'delivered')::integer,
        failed_since = CASE WHEN $8 <> 'delivered' THEN coalesce(failed_since, statement_timestamp()) END,
        due_at = coalesce(statement_timestamp() + make_interval(secs => $4), due_at),
        settled_at = CASE WHEN $3 <> 'pending' THEN statement_timestamp() END, lease_token = NULL, lease_until = NULL
    WHERE id = $1 AND lease_token = $2
    RETURNING endpoint, priority, kind, alert_id, state, failures
), tried AS (
    INSERT INTO attempt (notification_id, number, at, outcome, status, duration_ms, detail, headers, answer)
    VALUES ($1, $5, statement_timestamp() - $7 * interval '1 ms', $8, $6, $7, $9, $10::text::jsonb, $11)
), closed AS (
    UPDATE circuit SET failures = 0, opened_at = NULL, page_at = NULL, report_at = NULL
    FROM held, circuit AS before
    WHERE circuit.endpoint = held.endpoint AND before.endpoint = held.endpoint AND $12
        AND (circuit.failures > 0 OR circuit.report_at IS NOT NULL)
    RETURNING before.opened_at
), hastened AS (
    UPDATE notification AS n SET due_at = statement_timestamp()
    FROM held, closed
    WHERE n.endpoint = held.endpoint AND closed.opened_at IS NOT NULL AND n.state = 'pending' AND n.attempts > 0
        AND n.lease_token IS NULL AND n.due_at > statement_timestamp() AND n.id <> $1
), gone AS (
    UPDATE endpoint SET enabled = false, disabled_reason = 'it answered 410', version = version + 1
    FROM held WHERE id = held.endpoint AND $8 = 'gone' AND enabled
    RETURNING id, name
), audited AS (
    INSERT INTO audit (actor, action, subject, detail)
    SELECT 'deliver', 'endpoint_disabled', id::text, jsonb_build_object('name', name, 'reason', 'it answered 410')
    FROM gone
), told AS (
    INSERT INTO notification (id, number, endpoint, kind, priority, body, created_at, due_at)
    SELECT gen_random_uuid(), 0, other.id, 'endpoint_disabled', 'high', $13::text::jsonb, statement_timestamp(),
        statement_timestamp()
    FROM gone JOIN endpoint AS other ON other.id <> gone.id AND other.enabled
    RETURNING id
)
SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM closed WHERE opened_at IS NOT NULL) AS closed,
    EXISTS (SELECT FROM gone) AS disabled, (SELECT count(*) FROM told) AS told,
    (SELECT count(pg_notify('{CHANNEL}', '')) FROM gone) AS woken,
    (SELECT count(pg_notify('{UNDELIVERED}', '')) FROM held
     WHERE priority = 'high' AND alert_id IS NOT NULL AND kind <> ALL ($14::text[])
        AND (failures = 2 OR state = 'failed')) AS escalated
"""

# One more failure in a row of an endpoint.
_COUNT_FAILURE: Final = """
INSERT INTO circuit AS c (endpoint, failures) VALUES ($1, 1)
ON CONFLICT (endpoint) DO UPDATE SET failures = c.failures + 1
RETURNING failures, opened_at
"""
_PAUSE: Final = """
UPDATE circuit
SET opened_at = CASE WHEN $2 THEN coalesce(opened_at, statement_timestamp()) ELSE opened_at END,
    page_at = statement_timestamp() + make_interval(secs => $3),
    report_at = statement_timestamp() + make_interval(secs => $4)
WHERE endpoint = $1
"""

# When the next becomes due, its lease ends, or its endpoint may be asked again: one index probe a lane.
_NEXT_DUE: Final = """
SELECT extract(epoch FROM min(next.at) - statement_timestamp())::float8
FROM endpoint
LEFT JOIN circuit ON circuit.endpoint = endpoint.id
CROSS JOIN unnest($1::text[]) AS lane (priority)
CROSS JOIN LATERAL (
    SELECT CASE lane.priority WHEN 'high' THEN circuit.page_at ELSE circuit.report_at END AS until
) AS paused
CROSS JOIN LATERAL (
    SELECT greatest(n.due_at, paused.until) AS at
    FROM notification n
    WHERE n.endpoint = endpoint.id AND n.priority = lane.priority AND n.state = 'pending'
        AND n.due_at > CASE WHEN paused.until > statement_timestamp() THEN '-infinity' ELSE statement_timestamp() END
    ORDER BY n.due_at
    LIMIT 1
) AS next
WHERE endpoint.enabled
"""

# What could not be delivered for as long as it mattered, tried or not.
_GIVE_UP: Final = f"""
UPDATE notification SET state = 'failed', settled_at = statement_timestamp(), lease_token = NULL, lease_until = NULL
WHERE id IN (
    SELECT n.id FROM notification AS n
    JOIN unnest($1::text[], $2::float8[]) AS patience (priority, seconds) USING (priority)
    WHERE n.state = 'pending' AND (n.lease_until IS NULL OR n.lease_until < statement_timestamp())
        AND n.created_at < statement_timestamp() - make_interval(secs => $3)
        AND coalesce(n.redriven_at, n.created_at) < statement_timestamp() - make_interval(secs => patience.seconds)
    LIMIT 1000
    FOR UPDATE OF n SKIP LOCKED
)
RETURNING id, endpoint, kind, priority, attempts, pg_notify('{UNDELIVERED}', '')
"""
_STANDING: Final = """
SELECT (SELECT count(*) FROM circuit WHERE opened_at IS NOT NULL) AS open_circuits,
    (SELECT count(*) FROM undelivered_page WHERE reason <> 'given_up') AS undelivered_pages
"""

_PRIORITIES: Final = [str(priority) for priority in sorted(Priority, key=lambda priority: -priority.rank)]
_DEADLINES_S: Final = [attempt_deadline_s(Priority(priority)) for priority in _PRIORITIES]


# The outbox is empty at one moment and holds thousands at the next, and statistics know only the first. These make the
# statements above use their indexes whatever the planner believes. The last one: a worker that is stopped in the
# middle of its turn must not keep the others from theirs.
PLANS: Final = {
    "plan_cache_mode": "force_generic_plan",  # there is one good plan, and making it costs more than running it
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_sort": "off",
    "jit": "off",
    "idle_in_transaction_session_timeout": "2s",
}
"""The `server_settings` for the pool of a PostgresOutbox."""


async def no_reset(connection: asyncpg.Connection) -> None:
    """The `reset` of that pool: nothing here leaves a trace in a session, and a round trip each time adds up."""
    if connection.is_in_transaction():
        await connection.reset()


class PostgresOutbox:
    """Any number of workers may share the rows; leases keep them apart."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, worker: Worker | None = None) -> None:
        """Without a `worker` nobody can tell that we died: our leases then end with their time."""
        self._pool = pool
        self._vault = vault
        self._worker = worker

    async def claim(self, limit: int) -> list[Claimed]:
        if limit < 1:
            return []
        with outages_told():
            numbered = self._worker.claiming() if self._worker else nullcontext()
            async with numbered as number, self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_MY_TURN)
                rows = await connection.fetch(_CLAIM, _PRIORITIES, _DEADLINES_S, limit, number)
        rows.sort(key=lambda row: _PRIORITIES.index(row["priority"]))
        return [self._claimed(dict(row)) for row in rows]

    def _claimed(self, row: dict[str, Any]) -> Claimed:
        stored = [row.pop("secret"), *(row.pop("former_secrets") or [])]
        key, problem = row.pop("routing_key"), ""
        try:
            secrets = [self._vault.open(secret) for secret in stored]
            key = key and self._vault.open(key)
        except VaultError as error:
            secrets, key, problem = [], None, str(error)
        body = row.pop("body").encode()
        return Claimed(**row, body=body, secrets=tuple(secrets), routing_key=key, problem=problem)

    async def record(self, claimed: Claimed, attempt: Attempt, now: datetime, wait_s: float | None) -> Recorded:
        given_up_or_not = "failed" if wait_s is None else "pending"
        state = "delivered" if attempt.outcome is Outcome.DELIVERED else given_up_or_not
        with outages_told():
            row = await self._pool.fetchrow(
                _RECORD,
                claimed.notification_id,
                claimed.lease_token,
                state,
                wait_s,
                claimed.attempts + 1,
                attempt.status,
                attempt.duration_ms,
                str(attempt.outcome),
                attempt.detail,
                msgspec.json.encode(attempt.headers).decode(),
                attempt.answer.replace("\0", "\ufffd"),
                attempt.outcome in ANSWERED,
                _news_of(claimed, attempt, now),
                sorted(ASKS_NOTHING),
            )
            failed = row["held"] and attempt.outcome not in ANSWERED | {Outcome.NOT_SENT}
            opened = failed and await self._pause(claimed.endpoint, attempt)
        return Recorded(row["held"], bool(opened), row["closed"], row["disabled"], row["told"])

    async def _pause(self, endpoint: UUID, attempt: Attempt) -> bool:
        """Count a failure of the endpoint; whether that opened its circuit."""
        async with self._pool.acquire() as connection, connection.transaction():
            failures, opened_at = await connection.fetchrow(_COUNT_FAILURE, endpoint)
            pause = pause_after(failures, attempt)
            opens = failures >= OPENS_AFTER
            await connection.execute(_PAUSE, endpoint, opens, pause.pages_s, pause.reports_s)
        return opens and opened_at is None

    async def free_the_dead(self) -> list[str]:
        return await self._worker.free_the_dead() if self._worker else []

    async def next_due_s(self) -> float | None:
        with outages_told():
            due_s: float | None = await self._pool.fetchval(_NEXT_DUE, _PRIORITIES)
        return due_s

    async def sweep(self, patience_s: Mapping[Priority, float]) -> Swept:
        seconds = [patience_s[Priority(priority)] for priority in _PRIORITIES]
        with outages_told():
            rows = await self._pool.fetch(_GIVE_UP, _PRIORITIES, seconds, min(seconds))
            standing = await self._pool.fetchrow(_STANDING)
        given_up = [GivenUp(row["id"], row["endpoint"], row["kind"], row["priority"], row["attempts"]) for row in rows]
        return Swept(given_up, standing["open_circuits"], standing["undelivered_pages"])


# Only the oldest of an alert and endpoint can have been tried. Our clock and the database's may differ a little.
_HASTEN: Final = """
UPDATE notification SET due_at = least($2, statement_timestamp())
WHERE alert_id = ANY ($1::uuid[]) AND state = 'pending' AND attempts > 0 AND lease_token IS NULL AND due_at > $2
"""


async def hasten(connection: asyncpg.Connection, alerts: Collection[UUID], now: datetime) -> None:
    """Try again at once what failed and has news of its alert behind it: a page must not wait out another's backoff."""
    if alerts:
        await connection.execute(_HASTEN, list(alerts), now)


def _news_of(claimed: Claimed, attempt: Attempt, now: datetime) -> str | None:
    """What the others are told when this endpoint is gone."""
    if attempt.outcome is not Outcome.GONE:
        return None
    return msgspec.json.encode(endpoint_disabled(claimed.endpoint, claimed.endpoint_name, now)).decode()
