"""How does the database get its schema? Numbered SQL files, each once, in order, and never changed afterwards.

A file is one transaction, which waits for no lock for long: what cannot have its locks makes way and tries again, since
whoever waits for a lock holds up everybody behind. A file whose first line is `-- online` is for large tables that are
in use: each of its statements runs by itself (`CREATE INDEX CONCURRENTLY IF NOT EXISTS`, `VALIDATE CONSTRAINT`), and
all of them again if one did not come to its end.
"""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Final, NamedTuple, Self

import asyncpg

DIRECTORY = Path(__file__).with_name("migrations")
# One of the database's, so that processes which start together wait for each other. "pump" as a number.
ADVISORY_LOCK = 0x70756D70

ONLINE: Final = "-- online"
LOOK_EVERY_S: Final = 0.1
LOCK_WITHIN_MS: Final = 3_000
TRIES: Final = 10
_PAUSE_S: Final = 2.0
# Others who are at the same tables: a lock, or TimescaleDB's jobs, which begin with what an earlier file has made.
_IN_THE_WAY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_AT_ONCE: Final = "tuple concurrently"

# Not `pg_advisory_lock`: whoever waits in it holds a snapshot, and an index made concurrently waits for all of those.
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
# What was left half made by a statement that did not come to its end.
_INVALID: Final = """
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relname = ANY ($1::text[]) AND pg_table_is_visible(c.oid)
"""
_MADE: Final = re.compile(r"INDEX CONCURRENTLY IF NOT EXISTS (\w+)")

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

    @property
    def online(self) -> bool:
        return self.sql.startswith(ONLINE)

    @property
    def statements(self) -> list[str]:
        """Of one that is online: no statement of such a file has a semicolon within."""
        return [part.strip() for part in re.sub(r"--.*", "", self.sql).split(";") if part.strip()]

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
        while not await connection.fetchval(_TRY_LOCK, ADVISORY_LOCK):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(LOOK_EVERY_S)
        await connection.execute(HISTORY)
        missing = _missing(known(directory), await connection.fetch(APPLIED))
        for migration in missing:
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
        if migration.online:
            await _by_statement(connection, migration)
        else:
            await _at_once(connection, migration)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}: {error}") from None


async def _at_once(connection: asyncpg.Connection, migration: Migration) -> None:
    for left in reversed(range(TRIES)):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_WITHIN_MS}")
                await connection.execute(migration.sql)
                await _record(connection, migration)
        except (*_IN_THE_WAY, asyncpg.InternalServerError) as error:
            if not left or not (isinstance(error, _IN_THE_WAY) or _AT_ONCE in str(error)):
                raise
            await asyncio.sleep(_PAUSE_S)
        else:
            return


async def _by_statement(connection: asyncpg.Connection, migration: Migration) -> None:
    for row in await connection.fetch(_INVALID, _MADE.findall(migration.sql)):
        await connection.execute(f"DROP INDEX CONCURRENTLY {row['relname']}")
    for statement in migration.statements:
        await connection.execute(statement)
    await _record(connection, migration)


async def _record(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(RECORD, migration.number, migration.name, migration.sha256)
