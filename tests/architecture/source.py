"""The source as the architecture tests see it: modules, their trees, the names they define."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Defined(NamedTuple):
    """A name that our code gives to something, where, and its annotation as it is written."""

    name: str
    line: int
    annotation: str


def modules(*packages: str) -> list[Path]:
    """Every Python file of `packages`, relative to the root."""
    return sorted(path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """The dotted names of the modules that `path` imports."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def imported_names(path: Path) -> set[str]:
    """Those, and what is imported from them: either may be the module."""
    froms = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)]
    return imported(path) | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def defined(path: Path) -> Iterator[Defined]:
    """What is named here: functions, classes, arguments, variables, attributes. Not what others named."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield Defined(node.name, node.lineno, "")
            case ast.arg():
                yield Defined(node.arg, node.lineno, ast.unparse(node.annotation) if node.annotation else "")
            case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield Defined(name, node.lineno, ast.unparse(node.annotation))
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield Defined(name, node.lineno, "")


def words(name: str) -> list[str]:
    """`AlertState` and `alert_state` are both alert, state."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
