"""What deploy/compose.yaml says, as an engine would understand it: anchors resolved, variables put in."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.deploy.conftest import ROOT
from tests.keys import KEY

COMPOSE = ROOT / "deploy/compose.yaml"
SECRETS = {
    "PUMPWATCH_DATABASE_PASSWORD": "of-the-database",
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
