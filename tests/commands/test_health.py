"""`pumpwatch health ROLE`: what a health check is told; of roles that run: tests/deploy/test_shipped.py."""

import socket
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.heartbeat import beat
from tests.commands.here import ran_beside


async def test_a_role_is_well_while_it_is_heard_from_this_machine(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, connection: asyncpg.Connection
) -> None:
    monkeypatch.setenv("PUMPWATCH_DATABASE_URL", postgres_url)
    monkeypatch.setenv("PUMPWATCH_SHARD", "3")
    monkeypatch.setenv("PUMPWATCH_API_PORT", "1")
    now = datetime.now(UTC)
    await beat(connection, "deliver", "elsewhere/1", now)
    assert (await ran_beside("health", "deliver")) == (EXIT_PROBLEMS, "", "deliver: never heard\n")
    await beat(connection, "deliver", f"{socket.gethostname()}/1", now + timedelta(minutes=5))
    assert (await ran_beside("health", "deliver")) == (EXIT_OK, "deliver works\n", "")
    await beat(connection, "ingest", "shard-3", now - timedelta(minutes=5))
    done = await ran_beside("health", "ingest")
    assert done.code == EXIT_PROBLEMS
    assert "ingest: last heard 3" in done.err
    monkeypatch.setenv("PUMPWATCH_SHARDS", "0-63")
    assert (await ran_beside("health", "ingest")).err == "ingest: never heard\n"
    await beat(connection, "ingest", f"{socket.gethostname()[:30]}-7", datetime.now(UTC))
    assert (await ran_beside("health", "ingest")).code == EXIT_OK
    monkeypatch.setenv("PUMPWATCH_INSTANCE", "ingest-2")
    assert (await ran_beside("health", "ingest")).err == "ingest: never heard\n"
    assert (await ran_beside("health", "api")).err.startswith("api: [Errno 111]")


async def test_a_database_that_is_away_is_not_the_fault_of_a_role_and_one_that_is_empty_is_told_of(
    monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    monkeypatch.setenv("PUMPWATCH_DATABASE_URL", "postgresql://x@127.0.0.1:1/x")
    assert (await ran_beside("health", "watch")).code == EXIT_OK
    monkeypatch.setenv("PUMPWATCH_DATABASE_URL", empty_postgres_url)
    assert (await ran_beside("health", "watch")).err == "watch: the database is not migrated\n"
