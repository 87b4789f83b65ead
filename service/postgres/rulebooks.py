"""Which rulebooks were ever in force? Their texts, so that a verdict can be replayed under the rules of its time."""

from typing import Final

import asyncpg

from service.core.rulebook import Rulebook

_NEWEST: Final = "SELECT body FROM rulebook ORDER BY in_force_at DESC LIMIT 1"
_SAVE: Final = """
    INSERT INTO rulebook (version, body) VALUES ($1, $2) ON CONFLICT (version) DO UPDATE SET in_force_at = now()
"""


async def newest_text(connection: asyncpg.Connection) -> str | None:
    text: str | None = await connection.fetchval(_NEWEST)
    return text


async def enter_into_force(connection: asyncpg.Connection, rulebook: Rulebook) -> None:
    await connection.execute(_SAVE, rulebook.version, rulebook.text)
