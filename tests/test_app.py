"""How roles are composed: the rulebook that is in force."""

from pathlib import Path

import asyncpg
import pytest

from service.app import rulebook_in_force
from service.core.rulebook import DEFAULT_RULEBOOK
from service.settings import load


async def test_a_rulebook_with_mistakes_is_named_by_line_and_the_old_one_stays_in_force(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[stall]\nmissed_ul = 8\n")
    settings = load({}, database_url=postgres_url, broker_url="mqtt://127.0.0.1:1", rulebook=file)
    async with asyncpg.create_pool(postgres_url, min_size=0) as pool:
        first = await rulebook_in_force(settings, pool)
        assert first.limit("stall", "missed_ul") == 8
        file.write_text("[stall]\nmissed_ul = 800\n")
        assert await rulebook_in_force(settings, pool) == first
        (told,) = [record for record in caplog.records if record.message == "rulebook_refused"]
        assert told.fields["at"] == f"{file}:2"
        file.write_text("[stall]\nmissed_ul = 9\n")
        assert (await rulebook_in_force(settings, pool)).limit("stall", "missed_ul") == 9
        assert await pool.fetchval("SELECT count(*) FROM rulebook") == 2


async def test_without_a_file_the_defaults_are_in_force(postgres_url: str) -> None:
    settings = load({}, database_url=postgres_url, broker_url="mqtt://127.0.0.1:1")
    async with asyncpg.create_pool(postgres_url, min_size=0) as pool:
        assert await rulebook_in_force(settings, pool) == DEFAULT_RULEBOOK
