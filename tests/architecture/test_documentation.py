"""Documentation that can be wrong fails here."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from service.settings import Settings
from tests.architecture.source import ROOT, modules

PAGES = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"`make (\w+)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:service|simulators|tests|docs|\.ci)/[\w/.*-]*|\w+\.(?:md|toml|txt))`")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = {(ROOT / page).parent / target for target in LINK.findall(text)}
    named = {ROOT / name for name in PATH.findall(text) if "*" not in name}
    beside = {path for path in named if (ROOT / page).parent.joinpath(path.name).exists()}
    assert {str(path) for path in linked | (named - beside) if not path.exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert set(COMMAND.findall((ROOT / page).read_text(encoding="utf-8"))) <= targets


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"PUMPWATCH_\w+", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    assert documented == {f"PUMPWATCH_{name.upper()}" for name in Settings.__struct_fields__}


def test_every_module_says_in_its_first_line_what_it_answers() -> None:
    silent = [
        str(path)
        for path in modules("service", "simulators")
        if (text := (ROOT / path).read_text(encoding="utf-8")) and not text.startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_the_changelog_has_every_tag_and_the_version_that_comes_next_comes_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^]]+)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    released = [tuple(map(int, heading.split("."))) for heading in headings[1:]]
    assert released == sorted(released, reverse=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    coming = project["tool"]["hatch"]["version"]["fallback-version"].removesuffix(".dev0")
    assert tuple(map(int, coming.split("."))) > released[0]
    tags = subprocess.run(["git", "tag", "--list", "v*"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert {tag.removeprefix("v") for tag in tags.split()} <= set(headings)
