"""How roles are composed: where each learns which rulebook is in force."""

from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from service.beginning import rulebook_source
from service.core.rulebook import DEFAULT_RULEBOOK
from service.postgres.rulebooks import enter_into_force
from service.settings import load

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def test_a_rulebook_with_mistakes_is_named_by_line_and_the_one_last_in_force_stays_so_over_a_restart(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[stall]\nmissed_ul = 8\n")
    settings = load({}, database_url=postgres_url, broker_url="mqtt://127.0.0.1:1", rulebook=file)
    async with asyncpg.create_pool(postgres_url, min_size=0) as pool:
        first = await (await rulebook_source(settings, pool)).look(NOW)
        assert first.limit("stall", "missed_ul") == 8
        async with pool.acquire() as connection:
            await enter_into_force(connection, first, NOW)
        file.write_text("[stall]\nmissed_ul = 800\n")
        assert (await (await rulebook_source(settings, pool)).look(NOW)).version == first.version
        (told,) = [record for record in caplog.records if record.message == "rulebook_refused"]
        assert told.fields["at"] == f"{file}:2"
        file.write_text("[stall]\nmissed_ul = 9\n")
        assert (await (await rulebook_source(settings, pool)).look(NOW)).limit("stall", "missed_ul") == 9


async def test_without_a_file_the_defaults_are_in_force(postgres_url: str) -> None:
    settings = load({}, database_url=postgres_url, broker_url="mqtt://127.0.0.1:1")
    async with asyncpg.create_pool(postgres_url, min_size=0) as pool:
        assert await (await rulebook_source(settings, pool)).look(NOW) == DEFAULT_RULEBOOK
