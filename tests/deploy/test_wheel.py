"""The wheel in an empty environment: everything that was tested is in it, and it runs where nothing may be changed."""

import asyncio
import os
import shutil
import subprocess
import sys
import zipfile
from asyncio.subprocess import PIPE
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from service.embedded.child import free_port
from service.settings import inherited_environment
from tests.deploy.conftest import ROOT, Shipped
from tests.patience import until

PATIENCE_S = 180


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split() if (ROOT / name).is_file()}


def test_every_file_of_the_service_and_of_the_simulators_is_in_the_wheel(shipped: Shipped) -> None:
    with zipfile.ZipFile(shipped.wheel) as wheel:
        held = set(wheel.namelist())
    assert tracked("service", "simulators") - held == set()
    assert {name.partition("/")[0] for name in held if ".dist-info/" not in name} == {"service", "simulators"}


def test_the_programs_say_which_version_they_are(shipped: Shipped) -> None:
    told = subprocess.run(shipped.command("--version"), cwd="/", capture_output=True, text=True, check=True)
    version = shipped.wheel.name.split("-")[1]
    assert told.stdout == f"pumpwatch {version}\n"
    assert shipped.sdist.name == f"pumpwatch-{version}.tar.gz"
    subprocess.run([shipped.program("pumpsim"), "--help"], cwd="/", capture_output=True, check=True)


async def test_it_runs_as_an_account_that_may_write_nothing_but_its_own_directory(
    shipped: Shipped, postgres_url: str, nats_url: str
) -> None:
    port = free_port()
    with TemporaryDirectory(prefix="pumpwatch-home-") as home, Path(home, "log").open("wb") as log:
        if shipped.account is not None:
            os.chown(home, shipped.account.pw_uid, shipped.account.pw_gid)
        process = await asyncio.create_subprocess_exec(
            *shipped.command("up", "--broker-url", nats_url, "--api-port", port),
            cwd=home,
            env={"PATH": "/usr/bin:/bin", "HOME": home, "PUMPWATCH_DATABASE_URL": postgres_url, "TMPDIR": home},
            stdout=PIPE,
            stderr=log,
        )
        try:
            said = await until(_ready(process), "the service to be ready", PATIENCE_S)
            assert said[-1:] == [f"ready: http://127.0.0.1:{port}"], Path(home, "log").read_text()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                assert (await client.get("/live")).json() == {"live": True}
                assert (await client.get("/ready")).status_code in {200, 503}  # a probe may come between two beats
                assert (await client.get("/login")).status_code == 200
                token = said[0].rpartition(" ")[2]
                answer = await client.get("/api/v1/rules", headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 200, answer.text
            status = Path(f"/proc/{process.pid}/status")
            if shipped.account is not None:
                assert f"Uid:\t{shipped.account.pw_uid}\t" in status.read_text()
            assert Path(home, ".pumpwatch/secret.key").stat().st_mode & 0o777 == 0o600
        finally:
            if process.returncode is None:
                process.terminate()
            await until(process.wait(), "the service to end", PATIENCE_S)
        assert process.returncode == 0
        assert "Traceback" not in Path(home, "log").read_text()


async def _ready(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    said: list[str] = []
    while not (said and said[-1].startswith("ready")) and (line := await process.stdout.readline()):
        said.append(line.decode().strip())
    return said


@pytest.mark.parametrize(("tag", "expected"), [("v3.1.4", "3.1.4"), (None, "0.2.0.dev")])
def test_the_version_is_that_of_the_tag_and_a_clone_without_any_builds_too(
    tag: str | None, expected: str, tmp_path: Path
) -> None:
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "--no-tags", ROOT.as_uri(), tmp_path / "clone"], check=True)
    if tag:
        subprocess.run(["git", "tag", tag], cwd=tmp_path / "clone", check=True)
    assert version_of(tmp_path / "clone").startswith(expected)


def test_a_tree_without_a_history_has_the_version_that_comes_next(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert version_of(tmp_path) == "0.2.0.dev0"
    assert version_of(tmp_path, SETUPTOOLS_SCM_PRETEND_VERSION="3.1.4") == "3.1.4"  # as the image is told


def version_of(tree: Path, **environment: str) -> str:
    told = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"],
        cwd=tree,
        env=inherited_environment() | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()
