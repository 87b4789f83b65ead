"""deploy/compose.yaml: of the published form, and what it names is there and is taken by whom it is for."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.cli import parser
from service.doctor.broker import look
from service.doctor.finding import Level
from service.embedded.nats import NatsServer
from service.settings import load
from simulators.cli import parser as pumpsim_parser
from tests.deploy.conftest import ROOT
from tests.deploy.declared import COMPOSE, SECRETS, compose, make_accounts, services
from tests.doctor.seen import told

OURS = {name: service for name, service in services().items() if service["image"].startswith("pumpwatch:")}
OTHERS = services().keys() - OURS.keys()


def test_it_is_of_the_published_form() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    told = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_it_starts_with_no_secret_that_nobody_has_made(tmp_path: Path) -> None:
    for secret in SECRETS:
        with pytest.raises(KeyError, match=secret):
            compose({name: value for name, value in SECRETS.items() if name != secret})
    (tmp_path / "make-secrets").write_bytes((ROOT / "deploy/make-secrets").read_bytes())
    made = ["sh", str(tmp_path / "make-secrets")]
    subprocess.run(made, check=True, capture_output=True)
    file = tmp_path / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    values = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert values.keys() == SECRETS.keys()
    assert len(set(values.values())) == len(values)
    for name in OURS:
        if given := settings_of(services(values)[name]):
            load(given)
    again = subprocess.run(made, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert file.read_text() == "".join(f"{name}={value}\n" for name, value in values.items())


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in service.get("environment", {}).items() if name.startswith("PUMPWATCH_")}


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_programs_take_their_words_and_settings(name: str) -> None:
    service = OURS[name]
    words = [*service.get("entrypoint", ["pumpwatch"]), *service.get("command", [])]
    parse = {"pumpwatch": parser(words[1:]), "pumpsim": pumpsim_parser()}[words[0]]
    parse.parse_args(words[1:])
    if words[0] == "pumpwatch":
        settings = load(settings_of(service))
        assert settings.api_port == 8480
    probe = service["healthcheck"].get("test")
    assert probe is None or probe[:3] == ["CMD", "pumpwatch", "health"]
    if probe is not None:
        parser(probe[2:]).parse_args(probe[2:])
        assert probe[3] == service["command"][1]


@pytest.mark.parametrize("name", sorted(services()))
def test_no_service_is_root_or_may_write_into_its_image_or_is_without_limits(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name == "storage":  # gives a volume to the broker, and ends
        assert service["cap_add"] == ["CHOWN"]
        assert service["network_mode"] == "none"
        return
    assert "cap_add" not in service
    assert int(service["user"].partition(":")[0]) > 0
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}
    assert "healthcheck" in service or service["restart"] == "no"
    assert "@" not in service["image"].partition("@")[0]
    assert not service["image"].endswith(":latest")


def test_everything_that_is_named_is_there() -> None:
    whole = compose()
    for name, service in whole["services"].items():
        assert set(service.get("networks", [])) <= whole["networks"].keys(), name
        assert service.get("depends_on", {}).keys() <= whole["services"].keys(), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (COMPOSE.parent / source).exists() if source[0] == "." else source in whole["volumes"], volume
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert whole["services"][needed]["healthcheck"]["test"]
            if how["condition"] == "service_completed_successfully":
                assert whole["services"][needed]["restart"] == "no"
    assert all(
        port.startswith("127.0.0.1:") for service in whole["services"].values() for port in service.get("ports", [])
    )


def test_the_database_is_reached_from_inside_alone_and_only_those_reach_out_who_tell_somebody() -> None:
    whole = compose()
    assert whole["networks"]["store"] == {"internal": True}
    assert whole["services"]["database"]["networks"] == ["store"]
    outside = {name for name, service in whole["services"].items() if "outside" in service.get("networks", [])}
    assert outside == {"watch", "deliver"}


def test_what_watches_the_service_stays_reachable_while_the_service_starts_again() -> None:
    """The network of a container ends with it, and whoever shares it hears nothing more until started again as well."""
    whole = services()
    shared = {name: mode for name in whole if (mode := whole[name].get("network_mode", "none")) != "none"}
    assert shared == dict.fromkeys(("api", "prometheus", "alertmanager"), "service:address")
    address = whole["address"]
    assert address["entrypoint"] == ["tail", "-f", "/dev/null"], "it never ends by itself"
    assert "command" not in address
    assert "depends_on" not in address
    for name in ("prometheus", "alertmanager"):
        assert whole[name]["depends_on"].keys() == {"address"}
    assert address["restart"] == "unless-stopped"
    # Others know it by the API's name, and nobody from elsewhere comes to what else listens there.
    assert all(network == {"aliases": ["api"]} for network in address["networks"].values())
    assert address["ports"] == ["127.0.0.1:8480:8480"]
    assert not any("ports" in whole[name] or "networks" in whole[name] for name in shared)


async def test_grafana_is_given_its_account_as_it_is_declared(postgres_url: str) -> None:
    make_accounts(postgres_url)
    url = re.sub("//[^@]+@", "//pumpwatch_grafana:of-grafana's-role@", postgres_url)
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM alert") == 0
    await connection.close()


def test_grafana_finds_its_data_sources_and_dashboards_where_they_are_put() -> None:
    grafana = services()["grafana"]
    sources = (ROOT / "deploy/grafana/provisioning/datasources/pumpwatch.yaml").read_text(encoding="utf-8")
    named = {word.strip("${}") for word in sources.split() if word.startswith("$")}
    assert named <= grafana["environment"].keys()
    provider = (ROOT / "deploy/grafana/provisioning/dashboards/pumpwatch.yaml").read_text(encoding="utf-8")
    path = next(line.split()[-1] for line in provider.splitlines() if "path:" in line)
    assert f"../dashboards:{path}:ro" in grafana["volumes"]
    assert json.loads((ROOT / "dashboards/fleet.json").read_text(encoding="utf-8"))["title"]


class AsDeclared(NatsServer):
    """NATS by the file that the compose file gives it, at addresses of this test."""

    def _configuration(self) -> str:
        text = (COMPOSE.parent / "nats/compose.conf").read_text(encoding="utf-8")
        here = {"127.0.0.1:4222": self.nats_port, "0.0.0.0:8222": self.monitoring_port, "0.0.0.0:1883": self.mqtt_port}
        for there, port in here.items():
            assert there in text
            text = text.replace(there, f"127.0.0.1:{port}")
        return text.replace('"/data"', f'"{self._child.directory}/store"')


async def test_the_broker_takes_its_file_and_the_doctor_finds_no_fault_with_it(tmp_path: Path) -> None:
    server = AsDeclared(tmp_path)
    server.start()
    try:
        urls = {"broker_url": server.mqtt_url, "broker_monitor_url": server.monitoring_url}
        found = await look(load({}, database_url="postgresql://127.0.0.1/x", **urls))
    finally:
        server.stop()
    assert told(found) == ""
    assert "lets us in" in told(found, Level.OK)
