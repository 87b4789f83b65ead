"""Which rulebooks were in force, and by which of their limits was each pump judged from which position on?

A rulebook that was used is never changed: its text stays under its version, and each pump's limits under their hash.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from service.core.pump_rules import PumpRules, Term, read_rules
from service.core.relearn import HORIZON
from service.core.rulebook import Rulebook

_NEWEST: Final = """
    SELECT body FROM rulebook_in_force JOIN rulebook USING (version) ORDER BY rulebook_in_force.id DESC LIMIT 1
"""
_KEEP: Final = "INSERT INTO rulebook (version, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"
# Several roles notice a change, each a moment after the other: it is one.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('rulebook_in_force'))"
_ENTER: Final = """
    INSERT INTO rulebook_in_force (since, version)
    SELECT $2, $1 WHERE $1 IS DISTINCT FROM (SELECT version FROM rulebook_in_force ORDER BY id DESC LIMIT 1)
"""
_HISTORY: Final = """
    SELECT f.version, f.since, lead(f.since) OVER (ORDER BY f.id) AS until FROM rulebook_in_force AS f
    ORDER BY f.id DESC LIMIT $1
"""
_BODY: Final = "SELECT body FROM rulebook WHERE version = $1"

_KEEP_LIMITS: Final = """
    INSERT INTO pump_limits (hash, limits) SELECT * FROM unnest($1::text[], $2::jsonb[]) ON CONFLICT DO NOTHING
"""
# Arrays of arrays would be one: the facts come as text.
_JUDGE: Final = """
    INSERT INTO limits_in_force (pump, after_position, hash, rulebook_version, facts, since)
    SELECT pump, after_position, hash, $4, facts::float8[], $6
    FROM unnest($1::integer[], $2::bigint[], $3::text[], $5::text[]) AS given (pump, after_position, hash, facts)
    ON CONFLICT (pump, after_position) DO UPDATE SET hash = excluded.hash, facts = excluded.facts,
        rulebook_version = excluded.rulebook_version, since = excluded.since
"""
# Those of pumps that are judged anew which were followed by others so long ago that nothing is folded under them again.
_FORGET: Final = """
    DELETE FROM limits_in_force AS old
    WHERE old.pump = ANY ($1::integer[]) AND EXISTS (
        SELECT FROM limits_in_force AS next
        WHERE next.pump = old.pump AND next.after_position > old.after_position AND next.since < $2
    )
"""
_TERMS: Final = """
    SELECT l.pump, l.after_position, l.hash, l.rulebook_version, l.facts FROM limits_in_force AS l
    WHERE l.pump = ANY ($1::integer[]) ORDER BY l.pump, l.after_position
"""
_LIMITS: Final = "SELECT hash, limits::text AS limits FROM pump_limits WHERE hash = ANY ($1::text[])"


async def newest_text(connection: asyncpg.Connection) -> str | None:
    """Of the rulebook last in force."""
    text: str | None = await connection.fetchval(_NEWEST)
    return text


async def text_of(connection: asyncpg.Connection, version: str) -> str | None:
    text: str | None = await connection.fetchval(_BODY, version)
    return text


async def enter_into_force(connection: asyncpg.Connection, rulebook: Rulebook, now: datetime) -> None:
    """Say that this rulebook is in force since `now`, unless that is known."""
    async with connection.transaction():
        await connection.execute(_KEEP, rulebook.version, rulebook.text)
        await connection.execute(_LOCK)
        await connection.execute(_ENTER, rulebook.version, now)


async def history(connection: asyncpg.Connection, limit: int) -> list[dict[str, Any]]:
    """Which versions were in force, the newest first; `until` is None for the one that is."""
    return [dict(row) for row in await connection.fetch(_HISTORY, limit)]


async def judge(connection: asyncpg.Connection, rulebook: Rulebook, terms: Mapping[int, Term], now: datetime) -> None:
    """These pumps, by key, are judged so from these positions on; the caller holds the transaction."""
    if not terms:
        return
    await connection.execute(_KEEP, rulebook.version, rulebook.text)
    rules = {term.rules.hash: term.rules for term in terms.values()}
    await connection.execute(_KEEP_LIMITS, list(rules), [each.body for each in rules.values()])
    await connection.execute(
        _JUDGE,
        list(terms),
        [term.after for term in terms.values()],
        [term.rules.hash for term in terms.values()],
        rulebook.version,
        [f"{{{','.join(map(repr, term.facts))}}}" for term in terms.values()],
        now,
    )
    await connection.execute(_FORGET, list(terms), now - 2 * HORIZON)


async def terms_of(
    connection: asyncpg.Connection, keys: Sequence[int], known: dict[str, PumpRules]
) -> dict[int, list[Term]]:
    """By what these pumps were judged, in order, as far back as can be needed. `known`: rules read before, by hash."""
    rows = await connection.fetch(_TERMS, list(keys))
    if unread := list({row["hash"] for row in rows} - known.keys()):
        known |= {row["hash"]: read_rules(row["limits"]) for row in await connection.fetch(_LIMITS, unread)}
    terms: dict[int, list[Term]] = {}
    for row in rows:
        term = Term(row["after_position"], row["rulebook_version"], known[row["hash"]], tuple(row["facts"]))
        terms.setdefault(row["pump"], []).append(term)
    return terms
