"""Which version is this? That of the tag; where there is none, the one that comes next."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from service.settings import inherited_environment
from tests.deploy.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMING = PROJECT["tool"]["hatch"]["version"]["fallback-version"]


@pytest.mark.parametrize(("tag", "expected"), [("v3.1.4", "3.1.4"), (None, COMING.rstrip("0"))])
def test_the_version_is_that_of_the_tag_and_a_clone_without_any_builds_too(
    tag: str | None, expected: str, tmp_path: Path
) -> None:
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "--no-tags", ROOT.as_uri(), tmp_path / "clone"], check=True)
    if tag:
        subprocess.run(["git", "tag", tag], cwd=tmp_path / "clone", check=True)
    assert version_of(tmp_path / "clone").startswith(expected)


def test_a_tree_without_a_history_has_the_version_that_comes_next(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert version_of(tmp_path) == COMING
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
