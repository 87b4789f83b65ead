"""deploy/systemd: systemd itself finds nothing wrong with the units, nor much that they could still give up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.cli import parser
from service.settings import load
from tests.deploy.conftest import ROOT

UNITS = ROOT / "deploy/systemd"
ROLES = ("ingest", "watch", "deliver", "api")
COMMON = (UNITS / "pumpwatch-.service.d/common.conf").read_text(encoding="utf-8")
MOST_EXPOSED = 15  # tenths, of 100


@pytest.fixture
def unit_path(tmp_path: Path) -> dict[str, str]:
    """The units as they are, but for the program, which is not where they look for it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    shutil.copytree(UNITS, tmp_path / "units")
    for unit in (tmp_path / "units").glob("*.service"):
        unit.write_text(re.sub(r"/opt/pumpwatch/bin/pumpwatch", "/bin/true", unit.read_text(encoding="utf-8")))
    return os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path / 'units'}:"}


def analyse(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_systemd_takes_every_unit(unit_path: dict[str, str]) -> None:
    names = [*(f"pumpwatch-{role}.service" for role in ROLES), "pumpwatch-migrate.service", "pumpwatch.target"]
    told = analyse(unit_path, "verify", "--man=no", "--recursive-errors=no", *names)
    ours = [line for line in told.stderr.splitlines() if "pumpwatch" in line]
    assert (told.returncode, ours) == (0, [])


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_hardly_anything_but_its_work(unit_path: dict[str, str], role: str) -> None:
    unit = f"pumpwatch-{role}.service"
    told = analyse(unit_path, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_units_run_what_there_is_with_settings_that_are_taken() -> None:
    for unit in UNITS.glob("*.service"):
        (words,) = re.findall(r"^ExecStart=/opt/pumpwatch/bin/pumpwatch (.+)$", unit.read_text(), re.MULTILINE)
        parser(words.split()).parse_args(words.split())
    given = dict(re.findall(r"^(PUMPWATCH_\w+)=(.*)$", (UNITS / "pumpwatch.env").read_text(), re.MULTILINE))
    given |= dict(re.findall(r"(PUMPWATCH_\w+)=(\S+)", COMMON))
    load(given)


def test_the_target_wants_every_role_and_each_waits_for_the_migration() -> None:
    wanted = (UNITS / "pumpwatch.target").read_text(encoding="utf-8")
    for role in ROLES:
        assert f"pumpwatch-{role}.service" in wanted
        assert "Requires=pumpwatch-migrate.service" in (UNITS / f"pumpwatch-{role}.service").read_text(encoding="utf-8")
