"""The files that Grafana reads are those that the code makes, and hang together."""

import json
from pathlib import Path
from typing import Any

import pytest

from dashboards.build import HERE, texts
from dashboards.frame import SIMULATION
from tests.dashboards.macros import panels

FILES = sorted(HERE.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_files_are_what_the_code_makes() -> None:
    made = texts()
    assert {path for path in made if path.suffix == ".json"} == set(FILES), (
        "a file without code, or code without its file: python -m dashboards.build"
    )
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: python -m dashboards.build"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_says_what_it_is(path: Path) -> None:
    dashboard = read(path)
    assert dashboard["uid"] == f"pumpwatch-{path.stem}"
    assert SIMULATION in dashboard["description"]
    assert len({panel["title"] for panel in panels(dashboard)}) == len(panels(dashboard))
    for panel in panels(dashboard):
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"].get("noValue"), (
            f"{panel['title']}: an empty panel must not look healthy"
        )
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"].get("unit"), panel["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_link_leads_to_a_dashboard_that_is_there_or_to_the_board(path: Path) -> None:
    known = {f"/d/pumpwatch-{other.stem}" for other in FILES}
    said = json.dumps(read(path))
    for url in [part.split('"', 1)[0] for part in said.split('"url": "')[1:]]:
        assert url.startswith("${board}") or url.split("?", 1)[0] in known or not url, url
    if "${board}" in said:
        assert "board" in {variable["name"] for variable in read(path)["templating"]["list"]}, (
            "no variable of that name"
        )
