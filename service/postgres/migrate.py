"""How does the database get its schema? Numbered SQL files, each once, in order, and never changed afterwards."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Self

import asyncpg

DIRECTORY = Path(__file__).with_name("migrations")
# One of the database's, so that processes which start together wait for each other. "pump" as a number.
ADVISORY_LOCK = 0x70756D70

# The history of this database, made before anything else.
HISTORY = """
CREATE TABLE IF NOT EXISTS migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
# Whether there is a history at all: a look must not make one.
HAS_HISTORY = "SELECT to_regclass('migration') IS NOT NULL"
# What was applied, oldest first.
APPLIED = "SELECT number, name, sha256 FROM migration ORDER BY number"
# One more that was applied.
RECORD = "INSERT INTO migration (number, name, sha256) VALUES ($1, $2, $3)"


class MigrationError(Exception):
    """The database and this version do not belong together. The text is one line."""


class Migration(NamedTuple):
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(int(path.name.partition("_")[0]), path.name, path.read_text(encoding="utf-8"))


def known(directory: Path = DIRECTORY) -> list[Migration]:
    """The migrations of this version, in order."""
    return sorted(map(Migration.read, directory.glob("[0-9]*_*.sql")))


async def migrate(url: str, directory: Path = DIRECTORY) -> list[str]:
    """Bring the database up to date and return the names of what was applied. Processes that do so at once take turns.

    Raises MigrationError if it was made by a newer version, or by files that have changed since.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        await connection.execute(HISTORY)
        missing = _missing(known(directory), await connection.fetch(APPLIED))
        for migration in missing:
            async with connection.transaction():
                await _apply(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()


async def pending(url: str, directory: Path = DIRECTORY) -> list[str]:
    """The names of what `migrate` would apply; changes nothing. Raises MigrationError as it would."""
    connection = await asyncpg.connect(url)
    try:
        return await pending_on(connection, directory)
    finally:
        await connection.close()


async def pending_on(connection: asyncpg.Connection, directory: Path = DIRECTORY) -> list[str]:
    """The same over a connection that is there already."""
    applied = await connection.fetch(APPLIED) if await connection.fetchval(HAS_HISTORY) else []
    return [migration.name for migration in _missing(known(directory), applied)]


def _missing(ours: list[Migration], applied: list[asyncpg.Record]) -> list[Migration]:
    by_number = {migration.number: migration for migration in ours}
    for number, name, sha256 in applied:
        if number not in by_number:
            newest = ours[-1].name if ours else "none"
            raise MigrationError(f"the database has {name}, newer than this version, whose newest is {newest}")
        if by_number[number].sha256 != sha256:
            raise MigrationError(f"{by_number[number].name} is not the file that was applied to this database")
    done = {number for number, _, _ in applied}
    missing = [migration for migration in ours if migration.number not in done]
    if missing and done and missing[0].number < max(done):
        raise MigrationError(f"{missing[0].name} was never applied, although later ones were")
    return missing


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        await connection.execute(migration.sql)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}: {error}") from None
    await connection.execute(RECORD, migration.number, migration.name, migration.sha256)
