"""Migrations: each once, in order, never changed, and never downwards."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest

from service.postgres.migrate import DIRECTORY, MigrationError, known, migrate, pending


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
