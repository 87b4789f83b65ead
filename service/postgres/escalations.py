"""What is due, since nobody has answered? Steps, repeats, reminders and the ends of shelves; all from the tables.

Each deadline is a column, and what is done at one is written in the transaction that sets the next: whoever is killed
in between leaves it due.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from service.core import answers
from service.core.alert import Alert
from service.core.change import Change, Condition, Turn
from service.core.delivery import ASKS_NOTHING
from service.core.escalation import Deed, Due, deadline, next_due
from service.core.lifecycle import EPOCH, RULES, AlertWritten, Move
from service.core.policy import FALLBACK, quiet_until
from service.core.progress import Progress
from service.core.roster import Roster
from service.core.subject import NO_PUMP, Subject, service_subject
from service.core.telling import zone_of
from service.postgres import alert_rows, rosters
from service.postgres.alerts import AlertStore

AT_ONCE: Final = 100
TIMES: Final = 20
"""Up to so many transactions of so many alerts at one look: a storm must not keep the watch from looking elsewhere."""

OVERDUE: Final = timedelta(seconds=60)

# Alerts of which nobody of those told last could be reached: each of their notifications is an undelivered page, or
# there is none. Since when that is known. After the last step, only where nobody was reached since it asks; where
# everybody was asked there is nobody else.
_UNREACHED: Final = """
SELECT a.id, coalesce((
    SELECT max(page.since) FROM undelivered_page AS page JOIN notification AS n ON n.id = page.notification_id
    WHERE page.alert_id = a.id AND n.number = (a.escalation->>'told_number')::integer
), (a.escalation->>'told_at')::timestamptz) AS since
FROM alert AS a
WHERE a.state <> 'resolved' AND a.acknowledged_at IS NULL AND a.shelved_until IS NULL AND a.inhibited_by IS NULL
    AND ((a.escalation->>'steps_told')::integer < jsonb_array_length(a.escalation->'policy'->'steps')
        OR (a.escalation->'policy'->>'name' <> $2 AND NOT EXISTS (
            SELECT FROM notification AS n
            WHERE n.alert_id = a.id AND n.state = 'delivered' AND n.kind <> ALL ($3::text[])
                AND n.number >= coalesce((a.escalation->>'first_number')::integer, 0))))
    AND (a.escalation->>'told_at')::timestamptz <= $1
    AND NOT EXISTS (
        SELECT FROM notification AS n
        WHERE n.alert_id = a.id AND n.number = (a.escalation->>'told_number')::integer AND n.state <> 'collapsed'
            AND NOT EXISTS (SELECT FROM undelivered_page AS page WHERE page.notification_id = n.id)
    )
"""
# What another transaction holds is being changed: it is looked at again the next time.
_DUE: Final = f"""
SELECT {alert_rows.ALERT_JSON}
FROM alert AS a
WHERE a.state <> 'resolved' AND (a.escalate_at <= $1 OR a.id = ANY ($2::uuid[]))
ORDER BY a.escalate_at LIMIT $3
FOR UPDATE SKIP LOCKED
"""
_SET: Final = "UPDATE alert SET escalation = $2::text::jsonb, escalate_at = $3 WHERE id = $1"

# What shows that an alert may reach nobody.
_AUDIT: Final = """
SELECT count(*) FILTER (WHERE a.escalate_at IS NULL) AS without, count(*) FILTER (WHERE a.escalate_at < $2) AS overdue,
       array_agg(DISTINCT a.escalation->>'instead_of') FILTER (WHERE a.escalation->>'instead_of' <> '') AS policies,
       array_agg(a.id) FILTER (WHERE a.escalate_at IS NULL) AS ids
FROM alert AS a
WHERE a.state <> 'resolved' AND a.acknowledged_at IS NULL AND a.inhibited_by IS NULL AND a.subject <> $1
"""
_MEND: Final = "UPDATE alert SET escalate_at = $2 WHERE id = ANY ($1::uuid[]) AND escalate_at IS NULL"
_TOLD: Final = """
SELECT began_at, evidence->>'reason' AS reason FROM alert WHERE subject = $1 AND condition = $2 AND state = 'active'
"""
_SUBJECT: Final = service_subject("escalation")


async def look_once(connection: asyncpg.Connection, alert_store: AlertStore, now: datetime) -> list[AlertWritten]:
    """Do what is due at `now`, the longest due first, and check that nothing was forgotten."""
    written: list[AlertWritten] = []
    reaching = now, FALLBACK.name, sorted(ASKS_NOTHING)
    unreached = {row["id"]: row["since"] for row in await connection.fetch(_UNREACHED, *reaching)}
    for _ in range(TIMES):
        async with connection.transaction():
            some, more = await _do_due(connection, alert_store, unreached, now)
        written += some
        if not more:
            break
    return written + await _audit(connection, alert_store, now)


async def _do_due(
    connection: asyncpg.Connection, alert_store: AlertStore, unreached: dict[UUID, datetime], now: datetime
) -> tuple[list[AlertWritten], bool]:
    rows = await connection.fetch(_DUE, now, list(unreached), AT_ONCE)
    if not rows:
        return [], False
    alerts = alert_rows.alerts_of(rows)
    subjects = await alert_rows.subjects_of(connection, alerts)
    roster = await rosters.load(connection, {subject.time_zone for subject in subjects.values()})
    moves = []
    for alert in alerts:
        move = await _moved(connection, alert, subjects[alert.subject], roster, unreached.pop(alert.id, None), now)
        if move is not None:
            moves.append(move)
    return await alert_store.move(connection, moves, now), len(rows) == AT_ONCE


async def _moved(
    connection: asyncpg.Connection,
    alert: Alert,
    subject: Subject,
    roster: Roster,
    unreached_since: datetime | None,
    now: datetime,
) -> Move | None:
    """What becomes of an alert that is due; None if only its deadline does."""
    if alert.shelved_until is not None and alert.shelved_until <= now:
        return answers.unshelve(alert, RULES, "its time is over", now)
    if alert.escalation is None:
        policy = roster.policy(alert.site, subject.drug_class, alert.priority)
        progress = Progress(policy=policy, began_at=now)  # nobody was told: its first step is next
        await _put_off(connection, alert, progress, now)
        return None
    due = next_due(alert, alert.escalation, unreached_since)
    if due is None or due.at > now or deadline(alert) is None:
        await _put_off(connection, alert, alert.escalation, deadline(alert))
        return None
    if until := quiet_until(alert.escalation.policy.quiet, alert.priority, zone_of(subject, roster), now):
        await _put_off(connection, alert, alert.escalation, until)
        return None
    return answers.do(alert, due, now, _why(due, alert.escalation, unreached_since))


def _why(due: Due, progress: Progress, unreached_since: datetime | None) -> str:
    if due.deed is Deed.FALL_BACK:
        return f"nobody of the policy {progress.policy.name} could be reached: everybody is told"
    early = progress.steps_told < len(progress.policy.steps) and unreached_since is not None
    in_time = (
        progress.began_at + timedelta(seconds=progress.policy.steps[progress.steps_told].after_s) if early else None
    )
    return "nobody of the step before could be reached" if in_time is not None and due.at < in_time else ""


async def _put_off(
    connection: asyncpg.Connection, alert: Alert, progress: Progress | None, at: datetime | None
) -> None:
    text = None if progress is None else msgspec.json.encode(progress).decode()
    await connection.execute(_SET, alert.id, text, at)


async def _audit(connection: asyncpg.Connection, alert_store: AlertStore, now: datetime) -> list[AlertWritten]:
    found = await connection.fetchrow(_AUDIT, _SUBJECT, now - OVERDUE)
    reasons = [f"{found['without']} open alerts had no next deadline"] if found["without"] else []
    reasons += [f"{found['overdue']} open alerts are overdue"] if found["overdue"] else []
    reasons += [f"the policy {name} reaches no endpoint" for name in found["policies"] or ()]
    told = await connection.fetchrow(_TOLD, _SUBJECT, Condition.ESCALATION_BROKEN)
    if bool(reasons) == (told is not None):
        return []
    moment = (now - EPOCH) // timedelta(milliseconds=1)
    turn = Change(
        pump=NO_PUMP,
        condition=Condition.ESCALATION_BROKEN,
        turn=Turn.BEGAN if reasons else Turn.ENDED,
        step=1,
        position=moment,
        at_ms=moment,
        began_ms=moment,
        received_ms=moment,
        evidence={"reason": "; ".join(reasons)} if reasons else {},
        subject=_SUBJECT,
    )
    async with connection.transaction():
        await connection.execute(_MEND, found["ids"] or [], now)
        return await alert_store.apply(connection, [turn], now)
