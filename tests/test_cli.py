"""The command line: what goes wrong is one line that says what, and an exit code."""

import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from service.cli import main
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.migrate import known, migrate

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BROKER_URL"):
        monkeypatch.delenv(f"PUMPWATCH_{name}", raising=False)


def run(*arguments: object) -> tuple[int, str, str]:
    """The exit code, and what was printed where, of the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", [["up"], ["run", "ingest"], ["migrate"], ["pumps", "export"], ["token", "list"]])
def test_a_missing_setting_is_named_in_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == EXIT_USAGE
    assert capsys.readouterr().err == "pumpwatch: PUMPWATCH_DATABASE_URL: not set, and there is no default\n"


def test_an_unknown_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PUMPWATCH_DATABSE_URL", "postgresql://")
    assert main(["migrate"]) == EXIT_USAGE
    assert capsys.readouterr().err.startswith("pumpwatch: PUMPWATCH_DATABSE_URL: no such setting; known are")


def test_migrating_says_what_was_applied_and_then_that_nothing_is_left(empty_postgres_url: str) -> None:
    names = [migration.name for migration in known()]
    code, told, _ = run("migrate", "--check", "--database-url", empty_postgres_url)
    assert (code, told.splitlines()) == (EXIT_PROBLEMS, [f"would apply {name}" for name in names])
    code, told, _ = run("migrate", "--database-url", empty_postgres_url)
    assert (code, told.splitlines()) == (EXIT_OK, [f"applied {name}" for name in names])
    assert run("migrate", "--check", "--database-url", empty_postgres_url) == (EXIT_OK, "up to date\n", "")


async def test_a_newer_schema_is_one_line(postgres_url: str, tmp_path: Path) -> None:
    for migration in known():
        (tmp_path / migration.name).write_text(migration.sql, encoding="utf-8")
    (tmp_path / "9999_next.sql").write_text("SELECT 1;", encoding="utf-8")
    await migrate(postgres_url, tmp_path)
    for command in (["migrate"], ["up", "--broker-url", "mqtt://127.0.0.1:1", "--api-port", "0"]):
        code, _, told = run(*command, "--database-url", postgres_url)
        assert code == EXIT_PROBLEMS
        last = told.splitlines()[-1]
        assert last.startswith("pumpwatch: the database has 9999_next.sql, newer than this version, whose newest is 0")
        assert "Traceback" not in told


def test_an_older_schema_is_one_line(empty_postgres_url: str) -> None:
    code, _, told = run("token", "list", "--database-url", empty_postgres_url)
    assert code == EXIT_PROBLEMS
    assert told.count("\n") == 1
    assert "pumpwatch migrate" in told


async def test_a_wrong_password_and_a_wrong_database_name_the_setting(plain_postgres_url: str) -> None:
    for wrong in (plain_postgres_url.replace("postgres:", "postgres:x"), plain_postgres_url + "x"):
        code, _, told = run("migrate", "--database-url", wrong)
        assert code == EXIT_USAGE
        assert told.startswith("pumpwatch: PUMPWATCH_DATABASE_URL: ")
        assert told.count("\n") == 1
    connection = await asyncpg.connect(plain_postgres_url)  # and the right one still works
    await connection.close()


def test_a_database_that_is_away_is_one_line() -> None:
    code, _, told = run("migrate", "--database-url", "postgresql://127.0.0.1:1/nowhere")
    assert code == EXIT_PROBLEMS
    assert told.startswith("pumpwatch: cannot reach the database: ")
    assert told.count("\n") == 1


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, told = run("demo", "--directory", tmp_path / "file" / "demo")
    assert (code, told) == (EXIT_PROBLEMS, f"pumpwatch: {tmp_path}/file/demo: Not a directory\n")


def test_the_demo_empties_no_directory_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years", encoding="utf-8")
    code, _, told = run("demo", "--directory", tmp_path)
    assert (code, told) == (EXIT_PROBLEMS, f"pumpwatch: {tmp_path}: not empty, and not of an earlier demo\n")
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "years"


def test_every_command_has_its_line_of_help() -> None:
    code, told, _ = run("--help")
    assert code == EXIT_OK
    for command in ("up", "demo", "migrate", "run", "pumps", "token", "endpoint", "deliveries", "rules", "quarantine"):
        assert f"    {command} " in told or f"    {command}\n" in told
