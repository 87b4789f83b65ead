"""Everything over TLS, as an installation that is left running has it: pumps, broker, service, database, people."""

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from service.settings import inherited_environment
from tests.patience import until, until_found
from tests.security.client import Client
from tests.security.installation import HOST, Installation, SecuredBroker, SecuredMosquitto, SecuredNats, context
from tests.security.tls_proxy import tls_in_front
from tests.test_supervise import ROOT, up

PUMPS = 6
SECRET = "n0b0dy-gu3sses"


async def simulated(broker: SecuredBroker, installation: Installation, prefix: str, report: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "fleet", "--broker", broker.url, "--connections", "pump"),
        *("--tls-dir", str(installation.pumps), "--pumps", str(PUMPS), "--prefix", prefix, "--report", str(report)),
        *("--backlog-hours", "0", "--live-s", "5", "--faults", "none", "--drain-s", "120"),
        cwd=ROOT,
        env=inherited_environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await until(process.wait(), "the fleet to end", 300.0)


@pytest.mark.parametrize("broker", [SecuredNats, SecuredMosquitto], ids=["nats", "mosquitto"], indirect=True)
async def test_every_arrow_is_encrypted_and_each_end_knows_the_other(
    broker: SecuredBroker, installation: Installation, postgres_url: str, tmp_path: Path
) -> None:
    prefix = f"w{broker.name[0]}"
    installation.issue_many(prefix, PUMPS)
    broker.reload()
    servers = installation.directory / "servers" / HOST
    parts = urlsplit(postgres_url)
    async with tls_in_front(parts.port or 5432, servers, "127.0.0.1") as port:
        database_url = urlunsplit(
            parts._replace(
                netloc=f"{parts.netloc.rpartition('@')[0]}@{HOST}:{port}",
                query=f"sslmode=verify-full&sslrootcert={installation.directory / 'ca.crt'}",
            )
        )
        settings = {
            "PUMPWATCH_BROKER_TLS_DIR": str(installation.services),
            "PUMPWATCH_SESSION_SECRET": SECRET,
            "PUMPWATCH_API_CERT_FILE": f"{servers}.pem",
            "PUMPWATCH_API_KEY_FILE": f"{servers}.key",
            "PUMPWATCH_CANARY_EVERY_S": "5",
        }
        async with up(database_url, broker.url, tmp_path, **settings) as service:
            token = (await service.line("administrator")).rpartition(" ")[2]
            ready = await service.line("ready")
            url = ready.removeprefix("ready: ").replace("127.0.0.1", HOST)
            assert url.startswith("https://")
            verified = context(installation.directory, None)
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=url, verify=verified, timeout=60, headers=headers) as client:
                report = tmp_path / "report.json"
                assert await simulated(broker, installation, prefix, report) == 0
                sent = json.loads(report.read_text())["tally"]
                assert sent["receipted_items"] == sent["measured_readings"] + sent["measured_events"] > 0

                answer = await client.get("/api/v1/pumps", params={"limit": 100})
                assert answer.headers["strict-transport-security"].startswith("max-age=")
                assert sum(pump["pump_id"].startswith(prefix) for pump in answer.json()["items"]) == PUMPS

                async def canary() -> str:
                    return (await client.get("/metrics")).text

                def arrived(metrics: str) -> bool:
                    lines = [line for line in metrics.splitlines() if line.startswith("pumpwatch_canary_rounds_total")]
                    return any('outcome="arrived"' in line and not line.endswith(" 0.0") for line in lines)

                await until_found(canary, "the canary to arrive over TLS", enough=arrived)
            assert SECRET not in service.log
            assert "Traceback" not in service.log


async def ended(role: str, **settings: object) -> tuple[int, str]:
    """A role as a process of its own, which is not to begin: its code, and what it said."""
    environment = {f"PUMPWATCH_{name.upper()}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "run", role),
        cwd=ROOT,
        env=inherited_environment() | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await until(process.communicate(), "it to end", 180.0)
    assert process.returncode is not None
    return process.returncode, said.decode().splitlines()[-1]


@pytest.mark.parametrize("role", ["ingest", "watch"])
async def test_a_role_without_its_certificate_says_which_and_ends(role: str, postgres_url: str, tmp_path: Path) -> None:
    settings = {"database_url": postgres_url, "broker_url": "mqtts://localhost:1", "broker_tls_dir": tmp_path}
    said = f"pumpwatch: PUMPWATCH_BROKER_TLS_DIR: {tmp_path / 'ca.crt'} is not there"
    assert await ended(role, **settings) == (2, said)


async def test_the_api_refuses_a_key_that_is_not_its_certificates(
    installation: Installation, postgres_url: str
) -> None:
    code, said = await ended(
        "api",
        database_url=postgres_url,
        broker_url="mqtt://127.0.0.1:1",
        api_cert_file=installation.directory / "servers" / f"{HOST}.pem",
        api_key_file=installation.services / "watch.key",
    )
    assert code == 2
    assert "PUMPWATCH_API_CERT_FILE, PUMPWATCH_API_KEY_FILE: no certificate and its key" in said


async def test_a_fleet_without_its_certificates_is_refused_before_it_begins(
    installation: Installation, tmp_path: Path
) -> None:
    for options, said in (
        (["--connections", "pump"], "not there; `pumpwatch ca` issues certificates"),
        ([], "a certificate speaks for one pump"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators", "fleet", "--broker", "mqtts://localhost:1", "--pumps", "2"),
            *("--prefix", "nobody", "--tls-dir", str(installation.pumps), *options),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await process.communicate()
        assert (process.returncode, said in err.decode()) == (2, True)


@pytest.mark.parametrize("filter_", ["receipts/v1/+", "pumps/v1/+/+"])
async def test_a_monitor_may_listen_while_the_service_runs(broker: SecuredBroker, filter_: str) -> None:
    monitor = await Client.connect(broker.port, broker.installation.service("monitor"))
    assert await monitor.subscribe(filter_) == 0
    await monitor.close()
