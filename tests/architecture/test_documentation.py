"""Documentation that can be wrong fails here."""

import contextlib
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from service.cli import parser
from service.settings import Settings
from tests.architecture.source import ROOT, modules

PAGES = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMED_COMMAND = re.compile(r"`pumpwatch ([^`]+)`")
COMMAND = re.compile(r"`make (\w+)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
ANCHORED = re.compile(r"\]\(([^)#:]*)#([^)]+)\)")
NAMED = re.compile(r"`(docs/[\w/.-]+\.md)#([\w-]+)`")
PATH = re.compile(r"`((?:service|simulators|tests|docs|deploy|dashboards|\.ci)/[\w/.*-]*|\w+\.(?:md|toml|txt))`")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = {(ROOT / page).parent / target for target in LINK.findall(text)}
    named = {ROOT / name for name in PATH.findall(text) if "*" not in name}
    beside = {path for path in named if (ROOT / page).parent.joinpath(path.name).exists()}
    assert {str(path) for path in linked | (named - beside) if not path.exists()} == set()


def anchors(page: Path) -> set[str]:
    """What a heading is called in an address."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_place_within_a_page_that_a_page_leads_to_exists() -> None:
    lost = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for target, anchor in [*ANCHORED.findall(text), *NAMED.findall(text)]:
            path = (ROOT / page).parent / target if target else ROOT / page
            path = path if path.exists() else ROOT / target
            if not path.is_file() or anchor not in anchors(path):
                lost.append(f"{page}: {target}#{anchor}")
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert set(COMMAND.findall((ROOT / page).read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_that_a_page_names_exists_with_its_options(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    for command in NAMED_COMMAND.findall((ROOT / page).read_text(encoding="utf-8")):
        words = shlex.split(command)
        with contextlib.suppress(SystemExit):
            parser(words).parse_args(words)
        # Words in capitals stand for something, what is in brackets may be there, and what is needed may be left out.
        said = capsys.readouterr().err
        if re.search(r"unrecognized arguments: [^\[]|invalid choice: '[a-z_-]+'", said):
            wrong.append(f"{command}: {said.splitlines()[-1]}")
    assert wrong == []


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
