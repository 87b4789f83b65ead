"""How does a person fill in something? A dialog of labelled fields; what the API finds wrong stands at its field."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Final, Self, TypeVar

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.validation_element import ValidationElement
from nicegui.elements.mixins.value_element import ValueElement

from service.api.problems import Problem
from service.web.told import notify, problem_of, told
from service.web.words import is_long

T = TypeVar("T")
Values = dict[str, Any]
_FIELD: Final = "outlined dense"


class Form:
    """Fields are named as the API calls them. Values that are empty are None."""

    def __init__(self, title: str, text: str = "") -> None:
        with ui.context.client:  # not where the button is: that may be made anew meanwhile
            self._dialog = ui.dialog().props(f'aria-label="{title}"')
        self._dialog.on("hide", self._dialog.delete)
        with self._dialog, ui.card().classes("form"):
            ui.label(title).classes("text-h6")
            if text:
                ui.label(text).classes("faint")
            self._problem = ui.label().classes("problem").props('role="alert"')
            self._problem.visible = False
            self._form = ui.element("form").classes("fields").props("novalidate")
        self._fields: dict[str, ValueElement[Any]] = {}

    def __enter__(self) -> Self:
        self._form.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._form.__exit__()

    def text(
        self,
        name: str,
        label: str,
        value: str = "",
        *,
        kind: str = "text",
        hint: str = "",
        most: int = 500,
        filled_in: str = "off",
    ) -> None:
        """`filled_in`: what a browser may offer to fill in, by HTML's names."""
        field = ui.input(label, value=value).props(f"{_FIELD} type={kind} maxlength={most} autocomplete={filled_in}")
        if kind in {"date", "datetime-local"}:
            field.props("stack-label")
        self._put(name, field, hint)

    def long(self, name: str, label: str, value: str = "", *, hint: str = "", most: int = 2000) -> None:
        self._put(name, ui.textarea(label, value=value).props(f"{_FIELD} autogrow maxlength={most}"), hint)

    def number(self, name: str, label: str, value: float | None = None, *, hint: str = "") -> None:
        self._put(name, ui.number(label, value=value).props(f"{_FIELD} step=any"), hint)

    def choice(self, name: str, label: str, options: Mapping[Any, str], value: object, *, hint: str = "") -> None:
        self._put(name, ui.select(dict(options), label=label, value=value).props(_FIELD), hint)

    def choices(
        self, name: str, label: str, options: Mapping[Any, str], value: Sequence[object], *, hint: str = ""
    ) -> None:
        field = ui.select(dict(options), label=label, value=list(value), multiple=True).props(f"{_FIELD} use-chips")
        self._put(name, field, hint)

    def tick(self, name: str, label: str, *, value: bool = False) -> None:
        self._fields[name] = ui.checkbox(label, value=value)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def _put(self, name: str, field: Any, hint: str) -> None:
        if hint:
            field.props["hint"] = hint
        self._fields[name] = field.classes("w-full")

    @property
    def values(self) -> Values:
        return {name: _given(field) for name, field in self._fields.items()}

    def ends_with(self, label: str, operation: Callable[[Values], Awaitable[str]]) -> None:
        """The buttons, and what is done; it answers what to say when it is done. Then the dialog is shown."""

        async def do() -> None:
            last.disable()
            try:
                with told(self._show):
                    done = await operation(self.values)
                    self._dialog.close()
                    if done:
                        ui.notify(done, type="positive")
            finally:
                last.enable()

        self._form.on("submit.prevent", do)
        with self._form, ui.row().classes("justify-end w-full ends"):
            ui.button("Cancel", color=None, on_click=self._dialog.close).classes("quiet").props(
                "no-caps flat type=button"
            )
            last = ui.button(label, color=None).classes("action").props("no-caps unelevated type=submit")
        self._dialog.open()

    def _show(self, problem: Problem) -> None:
        said = {error.field: error.detail for error in problem.errors}
        for name, field in self._fields.items():
            if isinstance(field, ValidationElement):
                field.error = said.pop(name, None)
        self._problem.text = (
            "; ".join(f"{name}: {what}" for name, what in said.items()) if problem.errors else problem.detail
        )
        self._problem.visible = bool(self._problem.text)


def _given(field: ValueElement[Any]) -> Any:
    value = field.value
    if not isinstance(value, str):
        return value
    is_password = field.props.get("type") == "password"  # which may begin with a space
    return (value if is_password else value.strip()) or None


def confirm(title: str, text: str, button: str, operation: Callable[[], Awaitable[str]]) -> None:
    """Ask before something is done that cannot simply be done again."""

    async def do(_: Values) -> str:
        return await operation()

    Form(title, text).ends_with(button, do)


def shown_once(title: str, text: str, secret: str) -> None:
    """What can be read now and never again."""
    with ui.context.client, ui.dialog().props(f'persistent aria-label="{title}"') as dialog, ui.card().classes("form"):
        ui.label(title).classes("text-h6")
        ui.label(text)
        ui.textarea(title, value=secret).props(f"{_FIELD} readonly autogrow").classes("w-full secret")
        with ui.row().classes("justify-end w-full ends"):
            ui.button("Copy", color=None, on_click=lambda: ui.clipboard.write(secret)).classes("quiet").props(
                "no-caps flat"
            )
            ui.button("I have kept it", color=None, on_click=dialog.close).classes("action").props("no-caps unelevated")
    dialog.on("hide", dialog.delete)
    dialog.open()


def button(label: str, then: Callable[[], object], *, name: str = "", quiet: bool = False) -> Element:
    """`name`: what a screen reader says, where the label alone does not say of what."""

    async def pressed() -> None:
        with told(notify):
            under_way = then()
            if isawaitable(under_way):
                await under_way

    made = ui.button(label, color=None, on_click=pressed).classes("quiet" if quiet else "action")
    return made.props(f"no-caps {'flat' if quiet else 'unelevated'}" + (f' aria-label="{name}"' if name else ""))


class Rows(Element):
    """The body of a table that knows its columns' names: on a phone they stand beside the values."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("tbody")
        self.props("role=rowgroup")
        self.names = names


def table(names: Sequence[str]) -> Rows:
    """A table with its head; rows are put into it with `row`."""
    with ui.element("div").classes("scroll"), ui.element("table").classes("plain stack").props("role=table"):
        with ui.element("thead").props("role=rowgroup"), ui.element("tr").props("role=row"):
            for name in names:
                with ui.element("th").props('scope="col" role=columnheader'):
                    ui.label(name)
        return Rows(names)


OUTCOMES: Final = {"delivered": "good", "failed": "bad", "pending": "wait"}
"""How what came of telling somebody looks."""


def row(*cells: str | Callable[[], object]) -> None:
    """One row: texts, and what makes a cell's content."""
    rows = ui.context.slot.parent
    names = rows.names if isinstance(rows, Rows) else [""] * len(cells)
    with ui.element("tr").props("role=row"):
        for name, cell in zip(names, cells, strict=True):
            if cell == "":
                ui.element("td").props("role=cell").classes("nothing")
                continue
            with ui.element("td").props(f'role=cell data-label="{name}"'):
                if callable(cell):
                    cell()
                else:
                    ui.label(cell)


def facts(values: Mapping[str, str]) -> None:
    with ui.element("dl").classes("facts"):
        for name, value in values.items():
            with ui.element("div").classes("long" * is_long(value)):
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    ui.label(value)


def heading(text: str, level: int = 1) -> ui.label:
    """Of anything, also of what people wrote: it is shown as text."""
    with ui.element(f"h{level}"):
        return ui.label(text)


def live(
    read: Callable[[], Awaitable[T]], show: Callable[[T], object], every_s: float
) -> Callable[[], Awaitable[None]]:
    """Show what is read, and again whenever it has changed: nothing else, or the keyboard would lose its place.

    Returns what looks at once, for the first time as well.
    """
    place = ui.element("div").props('aria-live="polite"')
    known: list[T | str] = []

    async def again() -> None:
        found: T | str
        try:
            found = await read()
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            found = problem.detail
        if known == [found]:
            return
        known[:] = [found]
        place.clear()
        with place:
            if isinstance(found, str):
                ui.label(found).classes("problem")
            else:
                show(found)

    ui.timer(every_s, again, immediate=False)
    return again
