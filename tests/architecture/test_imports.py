"""Imports point down the list of docs/architecture.md; only the edges that are named there meet."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.source import ROOT, imported, modules, tree


def test_import_linter_finds_every_contract_kept() -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_module_of_the_service_has_its_place_in_a_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = " | ".join(layer for contract in contracts for layer in contract.get("layers", []))
    placed = set(layers.replace(":", "|").replace(" ", "").split("|"))
    parts = {path.with_suffix("") for path in modules("service") if path.name not in {"__init__.py", "__main__.py"}}
    assert {".".join(part.parts[:2]) for part in parts} - placed == set()


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        str(path)
        for path in modules("service", "simulators")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= {"service/settings.py"}


def test_nothing_outside_the_standard_library_is_imported_that_is_not_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = " ".join(project["dependencies"]).lower().replace("-", "_")
    foreign = {
        name.split(".")[0]
        for path in modules("service", "simulators")
        for name in imported(path)
        if name and name.split(".")[0] not in {*sys.stdlib_module_names, "service", "simulators"}
    }
    named_otherwise = {"paho": "paho_mqtt", "starlette": "fastapi", "pydantic": "fastapi"}
    assert {name for name in foreign if named_otherwise.get(name, name) not in required} == set()
