"""On which line does each key of a TOML document stand? `tomllib` reads the document, but keeps no lines.

The text must be one that `tomllib` has read: nothing is judged here.
"""

import re
import tomllib
from typing import Final

KeyPath = tuple[str, ...]
"""A key with the tables that it stands in; the number of an element, where one is in an array of tables."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
_SCALAR: Final = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The first line on which each key, and each table's header, stands."""
    return _Scanner(text).found


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of `path`, or else of the nearest table around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.found: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(text):
            if self._next("[["):
                table = self._header("]]", of_array=True)
            elif self._next("["):
                table = self._header("]", of_array=False)
            else:
                self._entry(table)
            self._skip(_BLANK)

    def _header(self, ends: str, *, of_array: bool) -> KeyPath:
        began = self._at
        self._at += len(ends)
        path: KeyPath = ()
        for part in self._key():
            path += (part,)
            if path in self._elements and not (of_array and self._next_after_space(ends)):
                path += (str(self._elements[path]),)
        if of_array:
            self._elements[path] = self._elements.get(path, -1) + 1
            path += (str(self._elements[path]),)
        self._skip(_SPACE)
        self._at += len(ends)
        for depth in range(1, len(path) + 1):
            self._remember(path[:depth], began)
        return path

    def _entry(self, table: KeyPath) -> None:
        began, path = self._at, table
        for part in self._key():
            path += (part,)
            self._remember(path, began)
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._next("{"):
            self._at += 1
            self._skip(_BLANK)
            while not self._next("}"):
                self._entry(path)
                self._comma()
            self._at += 1
        elif self._next("["):
            self._at += 1
            self._skip(_BLANK)
            number = 0
            while not self._next("]"):
                self._value((*path, str(number)))
                self._comma()
                number += 1
            self._at += 1
        elif string := _STRING.match(self._text, self._at):
            self._at = string.end()
        else:
            self._skip(_SCALAR)

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._next(","):
            self._at += 1
            self._skip(_BLANK)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            found = _BARE_KEY.match(self._text, self._at) or _STRING.match(self._text, self._at)
            if found is None:  # not what tomllib would have read
                raise ValueError(f"no key at {self._at}")
            self._at = found.end()
            parts.append(_unquoted(found[0]))
            self._skip(_SPACE)
            if not self._next("."):
                return parts
            self._at += 1

    def _remember(self, path: KeyPath, at: int) -> None:
        self.found.setdefault(path, self._text.count("\n", 0, at) + 1)

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _next(self, what: str) -> bool:
        return self._text.startswith(what, self._at)

    def _next_after_space(self, what: str) -> bool:
        return self._text[self._at :].lstrip(" \t").startswith(what)


def _unquoted(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 0"))) if key[0] in "\"'" else key
