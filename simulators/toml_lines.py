"""In which line of a TOML file is a key? `tomllib` does not say, and a person who mends a file wants to know."""

import re
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?\s*(#.*)?$")
_KEY: Final = re.compile(r"\s*([\w-]+)\s*=")
_QUOTES: Final = ('"""', "'''")

Path = tuple[str | int, ...]


def lines_of_keys(text: str) -> dict[Path, int]:
    """Line numbers by path: `("pump",)` is a table, `("expect", 0, "within")` a key of the first `[[expect]]`."""
    found: dict[Path, int] = {(): 1}
    arrays: dict[str, int] = {}
    table: Path = ()
    closing = ""  # of a string that goes over several lines
    for number, line in enumerate(text.splitlines(), start=1):
        if closing:
            closing = "" if closing in line else closing
            continue
        if header := _HEADER.match(line):
            name = header[2]
            if header[1] == "[[":
                arrays[name] = arrays.get(name, -1) + 1
                table = (name, arrays[name])
            else:
                table = tuple(name.split("."))
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key[1]), number)
            closing = next((quotes for quotes in _QUOTES if line.count(quotes) == 1), "")
    return found


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it."""
    while path not in lines:
        path = path[:-1]
    return lines[path]
