"""Migrations: each once, in order, never changed, and never downwards."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from service.postgres.migrate import DIRECTORY, MigrationError, known, migrate, pending
from tests.patience import until_found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The migrations of this version, to change."""
    return Path(shutil.copytree(DIRECTORY, tmp_path / "migrations"))


async def test_processes_that_start_together_apply_each_migration_once(empty_postgres_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_postgres_url) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], [migration.name for migration in known()]]
    assert await pending(empty_postgres_url) == []


async def test_asking_what_would_run_changes_nothing(empty_postgres_url: str) -> None:
    assert await pending(empty_postgres_url) == [migration.name for migration in known()]
    connection = await asyncpg.connect(empty_postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.close()


async def test_a_migration_that_changed_after_it_was_applied_is_refused(postgres_url: str, directory: Path) -> None:
    first = directory / known()[0].name
    first.write_text(first.read_text(encoding="utf-8") + "-- changed\n", encoding="utf-8")
    for look in (migrate, pending):
        with pytest.raises(MigrationError, match="^0001_.* is not the file that was applied to this database$"):
            await look(postgres_url, directory)


async def test_a_database_of_a_newer_version_is_refused(postgres_url: str, directory: Path) -> None:
    (directory / "9999_the_future.sql").write_text("CREATE TABLE future (number int);", encoding="utf-8")
    assert await migrate(postgres_url, directory) == ["9999_the_future.sql"]
    with pytest.raises(MigrationError, match="9999_the_future.sql, newer than this version"):
        await migrate(postgres_url)


async def test_a_migration_that_fails_leaves_nothing_behind(postgres_url: str, directory: Path) -> None:
    (directory / "9998_half.sql").write_text("CREATE TABLE half (number int); SELECT 1 / 0;", encoding="utf-8")
    with pytest.raises(MigrationError, match="^9998_half.sql: division by zero$"):
        await migrate(postgres_url, directory)
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    await connection.close()


async def test_a_migration_is_not_slipped_in_below_later_ones(postgres_url: str, directory: Path) -> None:
    (directory / "9999_later.sql").write_text("SELECT 1;", encoding="utf-8")
    await migrate(postgres_url, directory)
    (directory / "9998_earlier.sql").write_text("SELECT 1;", encoding="utf-8")
    with pytest.raises(MigrationError, match="9998_earlier.sql was never applied"):
        await migrate(postgres_url, directory)


async def test_an_index_of_a_large_table_is_made_while_others_write(postgres_url: str, directory: Path) -> None:
    (directory / "9998_online.sql").write_text(
        "-- online\n-- why; and more\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_name ON site (name);", encoding="utf-8"
    )
    first, second = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    async with first.transaction():
        await first.execute("INSERT INTO site VALUES ('a', 'a')")
        migrating = asyncio.create_task(migrate(postgres_url, directory))
        await until_found(
            lambda: second.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"),
            "the index to be begun",
        )
        await second.execute("SET lock_timeout = '5s'")
        await second.execute("INSERT INTO site VALUES ('b', 'b')")
        assert not migrating.done()
    assert await migrating == ["9998_online.sql"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_name'::regclass"
    assert await second.fetchval(valid)
    for connection in (first, second):
        await connection.close()


async def test_what_an_online_migration_left_half_made_is_made_anew(postgres_url: str, directory: Path) -> None:
    (directory / "9998_online.sql").write_text(
        "-- online\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_zone ON site (time_zone);\n"
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS only_name ON site (name);",
        encoding="utf-8",
    )
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("INSERT INTO site VALUES ('a', 'same'), ('b', 'same')")
    with pytest.raises(MigrationError, match="^9998_online.sql: could not create unique index"):
        await migrate(postgres_url, directory)
    assert await pending(postgres_url, directory) == ["9998_online.sql"]
    await connection.execute("UPDATE site SET name = site")
    assert await migrate(postgres_url, directory) == ["9998_online.sql"]
    query = "SELECT bool_and(indisvalid), count(*) FROM pg_index WHERE indexrelid::regclass::text = ANY ($1::text[])"
    assert tuple(await connection.fetchrow(query, ["by_zone", "only_name"])) == (True, 2)
    await connection.close()


async def test_a_migration_makes_way_for_who_holds_a_lock_and_comes_again(postgres_url: str, directory: Path) -> None:
    (directory / "9998_busy.sql").write_text("ALTER TABLE site ADD COLUMN more text;", encoding="utf-8")
    holder, reader = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE site IN ACCESS SHARE MODE")
        migrating = asyncio.create_task(migrate(postgres_url, directory))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'site'::regclass"
        await until_found(lambda: reader.fetchval(waiting), "the migration to wait")
        # Whoever comes after it waits with it, until it makes way.
        assert await asyncio.wait_for(reader.fetchval("SELECT count(*) FROM site"), 30) == 0
        assert not migrating.done()
    assert await migrating == ["9998_busy.sql"]
    for connection in (holder, reader):
        await connection.close()
