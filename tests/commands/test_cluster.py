"""`pumpwatch cluster`: the plan of a cluster, printed or written, and the limit of its stream."""

import asyncio
from pathlib import Path

import pytest

from service.cli import main
from service.embedded.nats import NatsServer
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.leases import PostgresLeases


def test_a_plan_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = ["cluster", "plan", "--pumps", "120000", "--interval", "30", "--ingesters", "4"]

    assert main(numbers) == EXIT_OK
    printed = capsys.readouterr().out
    assert main([*numbers, "--to", str(tmp_path)]) == EXIT_OK

    assert "4,000 messages/s" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"nats-1.conf", "nats-3.conf", "ingest-4.env", "plan.txt"}
    for path in tmp_path.iterdir():
        assert f"--- {path.name}\n{path.read_text(encoding='utf-8')}" in printed


def test_numbers_that_cannot_be_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "plan", "--node", "one", "--node", "two"]) == EXIT_USAGE
    assert "majority" in capsys.readouterr().err


def test_where_no_broker_answers_the_limit_says_so(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"nats://127.0.0.1:{nats_server.nats_port}"

    assert main(["cluster", "limit", "--nats", url, "--max-bytes", "1000000"]) == EXIT_PROBLEMS
    assert "stream not found" in capsys.readouterr().err
    assert main(["cluster", "limit", "--nats", "mqtt://x", "--max-bytes", "1"]) == EXIT_USAGE
    nats_server.stop()
    assert main(["cluster", "limit", "--nats", url, "--max-bytes", "1000000"]) == EXIT_PROBLEMS


async def test_shards_are_listed_and_moved(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    leases = PostgresLeases(postgres_url, "ingest-1", range(64))
    try:
        await leases.look([])
        listing = ["cluster", "shards", "--database-url", postgres_url]
        moving = ["cluster", "move", "3,5-6", "--database-url", postgres_url, "--to"]

        assert await asyncio.to_thread(main, listing) == EXIT_PROBLEMS, "none of them has heard anything yet"
        assert "ingest-1: 0-63 (0 of 64 caught up)" in capsys.readouterr().out
        assert await asyncio.to_thread(main, [*moving, "nobody-here"]) == EXIT_PROBLEMS
        assert await asyncio.to_thread(main, [*moving, "ingest-1"]) == EXIT_OK
        assert await asyncio.to_thread(main, listing) == EXIT_PROBLEMS
        assert "wanted there: 3, 5-6" in capsys.readouterr().out
        assert await asyncio.to_thread(main, [*moving, "anyone"]) == EXIT_OK
        assert await asyncio.to_thread(main, ["cluster", "move", "64", "--to", "anyone"]) == EXIT_USAGE
    finally:
        await leases.leave()
