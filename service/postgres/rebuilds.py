"""What does a pump that was worked out again write? Its alerts as of in-order arrival, its verdicts, its checkpoint."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from service.core.change import Change
from service.core.in_force import in_force_at
from service.core.pump_rules import Term
from service.core.state import DECIDED, SINCE_OF, holding
from service.ports import Checkpoint
from service.postgres import batches, checkpoint
from service.postgres.alerts import AlertStore
from service.postgres.readings import instant

# Verdicts that a rebuilt pump no longer has.
_DROP_VERDICTS: Final = """
    UPDATE verdict SET verdict = 'does_not_hold', since = $3
    WHERE pump = $1 AND condition = ANY ($2::text[]) AND verdict = 'holds'
"""
# Conditions that hold in the rebuilt state, although what came in the order of arrival had ended them.
_KEEP_VERDICTS: Final = """
    INSERT INTO verdict AS v (pump, condition, verdict, since)
    SELECT $1, condition, 'holds', since FROM unnest($2::text[], $3::timestamptz[]) AS given (condition, since)
    ON CONFLICT (pump, condition) DO UPDATE SET verdict = 'holds', since = excluded.since WHERE v.verdict <> 'holds'
"""


class Rebuilt(NamedTuple):
    """From where, what turned after `start`, and where the pump is now."""

    late_from: int
    start: Checkpoint
    episodes: Sequence[Change]
    now_at: Checkpoint


async def write(
    connection: asyncpg.Connection, alerts: AlertStore, pump: Rebuilt, terms: Sequence[Term], now: datetime
) -> None:
    """In the caller's transaction. `terms`: by what the pump was ever judged, in order."""
    key, start, episodes, state = pump.now_at.key, pump.start, pump.episodes, pump.now_at.state
    holds = holding(state)
    since = [instant(state[SINCE_OF[condition]]) for condition in holds]
    ended = [condition for condition in DECIDED if condition not in holds]
    await checkpoint.forget(connection, key, pump.late_from)
    untold = [] if not terms else in_force_at(terms, start.position).rules.standings
    await alerts.reconcile(connection, key, start.position, episodes, now, held=holding(start.state), untold=untold)
    if episodes:
        await batches.write_verdicts(connection, episodes)
    await connection.execute(_DROP_VERDICTS, key, ended, pump.now_at.since)
    await connection.execute(_KEEP_VERDICTS, key, holds, since)
    await checkpoint.save(connection, [pump.now_at], now)
    await checkpoint.rebuilt(connection, [key])
