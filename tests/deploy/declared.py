"""What deploy/compose.yaml says, as an engine would understand it: anchors resolved, variables put in."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import ROOT
from tests.keys import KEY

COMPOSE = ROOT / "deploy/compose.yaml"
SECRETS = {
    "PUMPWATCH_DATABASE_PASSWORD": "of-the-database",
    "PUMPWATCH_INGEST_PASSWORD": "of-ingest",
    "PUMPWATCH_WATCH_PASSWORD": "of-watch",
    "PUMPWATCH_DELIVER_PASSWORD": "of-deliver",
    "PUMPWATCH_API_PASSWORD": "of-api",
    "PUMPWATCH_GRAFANA_PASSWORD": "of-grafana's-role",
    "GRAFANA_ADMIN_PASSWORD": "of-grafana",
    "PUMPWATCH_SECRET_KEY": KEY,
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose(environment: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Raises KeyError for a variable that is needed and not in `environment`."""

    def put_in(found: re.Match[str]) -> str:
        name, how, otherwise = found.groups()
        if value := environment.get(name):
            return value
        if how != "-":
            raise KeyError(name)
        return otherwise

    def walk(value: Any) -> Any:
        match value:
            case dict():
                return {key: walk(each) for key, each in value.items()}
            case list():
                return [walk(each) for each in value]
            case str():
                return _VARIABLE.sub(put_in, value)
        return value

    whole: dict[str, Any] = walk(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))
    return whole


def services(environment: Mapping[str, str] = SECRETS) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose(environment)["services"]
    return found


def make_accounts(url: str) -> None:
    """As the service `accounts` does it, in the database at `url`, whose owner that names."""
    if shutil.which("psql") is None:
        pytest.skip("no psql on this machine (Debian: apt-get install postgresql-client)")
    service = services()["accounts"]
    words = [word.replace("=/", f"={COMPOSE.parent}/") for word in service["entrypoint"]]
    environment = {name: value for name, value in service["environment"].items() if not name.startswith("PG")}
    told = subprocess.run([*words, url], env=os.environ | environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def as_declared(name: str, url: str) -> str:
    """The address of a service's database with the account that it has there, at the server of `url`."""
    account = services()[name]["environment"]["PUMPWATCH_DATABASE_URL"].partition("//")[2].partition("@")[0]
    return re.sub("//[^@]+@", f"//{account}@", url)
