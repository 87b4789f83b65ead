"""How are tables and facts kept current without being made anew? Only what says something else is sent."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from nicegui import ui

from service.web.words import is_long

_UNKNOWN: Final = frozenset({"unknown", "never"})


class Cell(NamedTuple):
    text: str
    classes: str = ""
    link: str = ""


class TextTable:
    """A table with or without a head, and what stands there while it has no rows."""

    def __init__(self, *head: str, empty: str = "Nothing yet.") -> None:
        self._columns = len(head)
        self._empty = ui.label(empty).classes("faint")
        self._scroll = ui.element("div").classes("scroll")
        with self._scroll, ui.element("table").classes("plain"):
            if any(head):
                with ui.element("thead"), ui.element("tr"):
                    for name in head:
                        with ui.element("th").props('scope="col"'):
                            ui.label(name)
            self._body = ui.element("tbody")
        self._rows: list[list[_Shown]] = []
        self.show([])

    def show(self, rows: Sequence[Sequence[Cell | str]]) -> None:
        while len(self._rows) > len(rows):
            self._rows.pop()[0].row.delete()
        with self._body:
            while len(self._rows) < len(rows):
                with ui.element("tr") as line:
                    self._rows.append([_Shown(line) for _ in range(self._columns)])
        for shown, row in zip(self._rows, rows, strict=True):
            for place, value in zip(shown, row, strict=True):
                place.say(value if isinstance(value, Cell) else Cell(value))
        self._empty.visible = not rows
        self._scroll.visible = bool(rows)


class _Shown:
    """One cell as it stands on the page."""

    def __init__(self, row: ui.element) -> None:
        self.row = row
        self._said: Cell | None = None
        with ui.element("td") as self._place:
            self._label = ui.label()

    def say(self, cell: Cell) -> None:
        if cell == self._said:
            return
        if cell.link:
            self._place.clear()
            with self._place:
                ui.link(cell.text, cell.link)
        else:
            self._label.text = cell.text
            self._label.classes(replace=cell.classes)
        self._said = cell


class Facts:
    """Names and values; what is not known looks so."""

    def __init__(self) -> None:
        self._list = ui.element("dl").classes("facts")
        self._places: dict[str, ui.element] = {}
        self._values: dict[str, ui.label] = {}

    def show(self, facts: Mapping[str, str], *, known: bool = True) -> None:
        """`known`: whether they are so now; else they are what was last heard."""
        self._list.classes(replace="facts" if known else "facts not-known")
        for name, value in facts.items():
            if name not in self._values:
                with self._list, ui.element("div") as place:
                    with ui.element("dt"):
                        ui.label(name)
                    with ui.element("dd"):
                        self._values[name] = ui.label()
                self._places[name] = place
            self._places[name].classes(replace="long" * is_long(value))
            self._values[name].text = value
            self._values[name].classes(replace="state-unknown" if value in _UNKNOWN else "")
