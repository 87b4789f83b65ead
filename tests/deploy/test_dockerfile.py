"""deploy/Dockerfile: a linter has nothing to say, and it says of health, account and files what compose relies on."""

import re
import subprocess
import sys
from pathlib import Path

from service.cli import parser
from tests.deploy.conftest import ROOT
from tests.deploy.declared import services

DOCKERFILE = ROOT / "deploy/Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    told = subprocess.run(
        [hadolint, "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_the_image_runs_unprivileged_from_a_base_that_has_a_name() -> None:
    assert re.findall(r"^ARG PYTHON=(\S+)$", TEXT, re.MULTILINE) == ["docker.io/library/python:3.11-slim-bookworm"]
    assert re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE) == ["${PYTHON}", "${PYTHON}"]
    (account,) = re.findall(r"^USER (\S+)$", TEXT, re.MULTILINE)
    assert {service["user"] for service in services().values() if service["image"].startswith("pumpwatch")} == {account}


def test_its_health_check_is_the_one_of_compose() -> None:
    (words,) = re.findall(r"^HEALTHCHECK .* CMD \[(.+)\]$", TEXT, re.MULTILINE)
    probe = [word.strip(' "') for word in words.split(",")]
    assert ["CMD", *probe] == services()["api"]["healthcheck"]["test"]
    parser(probe[1:]).parse_args(probe[1:])


def test_every_directory_that_a_role_writes_to_is_made_in_it() -> None:
    for role in ("ingest", "watch", "deliver", "api"):
        service = services()[role]
        assert f"{service['environment']['PROMETHEUS_MULTIPROC_DIR']}" in TEXT.replace(" \\\n", " ").split()
        assert service["volumes"] == [f"metrics:{service['environment']['PUMPWATCH_METRICS_DIR']}"]


def test_what_it_copies_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in >= {
        "deploy/install",
        "pyproject.toml",
        "requirements.txt",
        "service",
        "simulators",
        "README.md",
        "LICENSE",
    }
    assert all((ROOT / name).exists() for name in let_in)
