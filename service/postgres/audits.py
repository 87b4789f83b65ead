"""Who did what, and when? Pages of the audit, which is only ever added to."""

from datetime import datetime
from typing import Final

import asyncpg

# Newest first, before the entry where the page before ended.
_PAGE: Final = """
SELECT id, number, at, actor, action, subject, detail::text AS detail, hash
FROM audit
WHERE id < $1 AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR action = $3)
    AND ($4::text IS NULL OR subject = $4) AND ($5::timestamptz IS NULL OR at >= $5)
    AND ($6::timestamptz IS NULL OR at < $6) AND ($8::text IS NULL OR actor = $8)
ORDER BY id DESC LIMIT $7
"""


async def audited(
    connection: asyncpg.Connection,
    *,
    before: int,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    only_of: str | None = None,
) -> list[asyncpg.Record]:
    """Entries below the id `before`; None stands for any."""
    rows: list[asyncpg.Record] = await connection.fetch(
        _PAGE, before, actor, action, subject, since, until, limit, only_of
    )
    return rows
