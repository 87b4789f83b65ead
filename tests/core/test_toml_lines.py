"""Every key of a document has the line on which it stands, however it is written."""

import tomllib
from typing import Any

import pytest

from service.core.toml_lines import KeyPath, key_lines, line_of

DOCUMENT = '''\
# a comment with [brackets] and = signs
top = 1

[stall]   # not [this]
missed_ul = 8
"for_s"= 300
below.fraction = 0.2

[drug_class . "bac lofen" . 'sta"ll']
note = """
[not.a.table]
key = "no"
"""
raw = \'\'\'
x = 1\'\'\'
after = "a = 1 # no"

[pump."P-1".stall]
missed_ul = { value = 9, reason = "a, b } c", author = 'x', expires = 2026-12-31 }
list = [
  1, # one
  { inner = 2 }, [
    "]",
  ],
]
end = true

[[things]]
name = "a"
[[things]]
name = "b"
[things.part]
deep = 1
'''


def paths(tables: Any, prefix: KeyPath = ()) -> set[KeyPath]:
    """Every key that `tomllib` finds; elements of arrays by number."""
    pairs = tables.items() if isinstance(tables, dict) else enumerate(tables) if isinstance(tables, list) else ()
    found: set[KeyPath] = set()
    for key, value in pairs:
        path = (*prefix, str(key))
        if isinstance(tables, dict):
            found.add(path)
        found |= paths(value, path)
    return found


def test_every_key_that_tomllib_reads_has_a_line_and_nothing_else_has() -> None:
    lines = key_lines(DOCUMENT)
    known = paths(tomllib.loads(DOCUMENT))
    assert known <= lines.keys()
    assert {path for path in lines if not path[-1].isdigit()} <= known


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("stall",), 4),
        (("stall", "missed_ul"), 5),
        (("stall", "for_s"), 6),
        (("stall", "below"), 7),
        (("stall", "below", "fraction"), 7),
        (("drug_class", "bac lofen"), 9),
        (("drug_class", "bac lofen", 'sta"ll', "note"), 10),
        (("drug_class", "bac lofen", 'sta"ll', "raw"), 14),
        (("drug_class", "bac lofen", 'sta"ll', "after"), 16),
        (("pump", "P-1", "stall", "missed_ul", "author"), 19),
        (("pump", "P-1", "stall", "list"), 20),
        (("pump", "P-1", "stall", "list", "1", "inner"), 22),
        (("pump", "P-1", "stall", "end"), 26),
        (("things", "0", "name"), 29),
        (("things", "1", "name"), 31),
        (("things", "1", "part", "deep"), 33),
    ],
)
def test_the_line_is_that_of_the_key(path: KeyPath, line: int) -> None:
    assert key_lines(DOCUMENT)[path] == line


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("", ("a",), 1),
        ("a = 1\r\n\r\nb = 2\r\n", ("b",), 3),
        ("[a.b.c]\nd = 1", ("a", "b"), 1),
        ('a = """x"""""\nb = 1', ("b",), 2),
        ('a = "\\"]"\nb = 1', ("b",), 2),
        ("a = [[1, 2], [3]]\nb = 1", ("b",), 2),
        ("a = {}\nb = []\nc = 1979-05-27T07:32:00Z", ("c",), 3),
        ('"a.b" = 1\n[x]\n"é" = 2', ("x", "é"), 3),
    ],
)
def test_forms_of_keys_and_values(text: str, path: KeyPath, line: int) -> None:
    tomllib.loads(text)
    assert line_of(key_lines(text), path) == line


def test_a_key_that_stands_nowhere_has_the_line_of_the_table_around_it() -> None:
    lines = key_lines(DOCUMENT)
    assert line_of(lines, ("stall", "none", "such")) == 4
    assert line_of(lines, ("none",)) == 1
