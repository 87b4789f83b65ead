"""How does a page show rows that change, without those that stay being made anew under somebody's finger?

The page keeps its rows by their id; what is sent is what has changed. The drawing is in the component's own script.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from nicegui import ui

from service.web import desk

Row = Mapping[str, Any]
"""`id`, and what the script shows; of JSON, times in ms since 1970."""


class Keyed(ui.element):
    """Rows in their order. Subclasses name the script, which builds on `keyed` of static/words.js."""

    def __init__(self, rows: Iterable[Row], **fixed: object) -> None:
        """`fixed`: further properties of the script."""
        super().__init__()
        self._sent: dict[str, Row] = {}
        with self.props.suspend_updates():
            self.props.update(fixed)
        self._keep(rows)

    def _keep(self, rows: Iterable[Row]) -> None:
        self._sent = {row["id"]: row for row in rows}
        with self.props.suspend_updates():  # for whoever loads the page; NiceGUI looks into lists, not into tuples
            self.props.update(rows=tuple(self._sent.values()), now_ms=_now_ms())

    def show(self, rows: Iterable[Row]) -> None:
        """These from now on."""
        before = self._sent
        self._keep(rows)
        changed = [row for key, row in self._sent.items() if before.get(key) != row]
        order = list(self._sent)
        moved = order != list(before)
        if changed or moved:
            self.run_method("put", order if moved else None, changed, _now_ms())


def _now_ms() -> int:
    return round(desk.now().timestamp() * 1000)
