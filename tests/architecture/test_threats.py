"""What docs/security.md says stands against a threat is there."""

import ast
import re

from tests.architecture.source import ROOT, tree

PAGE = ROOT / "docs/security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ARROWS = ("Pump → broker", "Broker → ingest", "Service → database", "deliver → endpoint", "Person → API", "Grafana →")


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file()
        or name
        not in {
            node.name
            for node in ast.walk(tree(ROOT / path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    ]
    assert named
    assert missing == []


def test_every_threat_has_its_test_and_every_arrow_its_threats() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| [STRIDE](, [STRIDE])* \|", line)]
    assert [row for row in rows if not NAMED.search(row)] == []
    assert [arrow for arrow in ARROWS if arrow not in text] == []
    assert {row[2] for row in rows} == set("STRIDE")


def test_every_requirement_is_locked_with_its_hash() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        locked = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        assert [line for line in locked if "==" not in line or "--hash=sha256:" not in line] == []
