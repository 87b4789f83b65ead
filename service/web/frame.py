"""What is on every page? The notice, what is wrong with our own chain, the way to the others, and who is logged in."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlencode

from nicegui import Client, background_tasks, ui

from service.api.live import Look, Wanted
from service.api.problems import Problem, database_reason
from service.postgres.accounts import Role
from service.postgres.health import reasons_not_ready
from service.postgres.pool import ANSWER_WITHIN_S
from service.web import desk

LOOK_AGAIN_S: Final = 10.0
KEPT_S: Final = 60.0
"""For how long a page that lost its connection is kept, with what is typed in it. It says so within seconds."""
ANSWERED_WITHIN_S: Final = 4.0 * ANSWER_WITHIN_S
"""A page asks the database several times, which gives up by itself and is then said to be away."""
_AT_MOST_EVERY_S: Final = 0.2
_PAGES: Final = (("Alerts", "/"), ("Fleet", "/pumps"), ("Pipeline", "/pipeline"))
ACCOUNT: Final = "/account"
_ADMIN: Final = (("Admin", "/admin"),)
_STILL_LOGGED_IN: Final = "You are still logged in: that cannot be ended at the moment. Try again in some seconds."
_LOG_OUT: Final = f"""async () => {{
const ended = async () => {{
  const asked = await fetch('/api/v1/session');
  if (asked.status === 401) return true;
  const headers = {{'X-CSRF-Token': (await asked.json()).csrf_token}};
  if (!asked.ok) return false;
  const done = await fetch('/api/v1/session', {{method: 'DELETE', headers}});
  return done.ok || done.status === 401;
}};
if (await ended().catch(() => false)) location.assign('/login');
else Quasar.Notify.create({{message: {json.dumps(_STILL_LOGGED_IN)}, type: 'warning', timeout: 0, closeBtn: 'Close'}});
}}"""


def at(path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Where a page is. What takes the database long is waited for: NiceGUI would show an error of its own after 3 s."""
    return ui.page(path, response_timeout=ANSWERED_WITHIN_S, **options)  # noqa: TID251 - here alone


@contextmanager
def page(title: str, here: str = "") -> Iterator[None]:
    """The frame; what is made within it is the page's own."""
    visitor = desk.visitor()
    ui.page_title(f"{title} · pumpwatch")
    ui.colors(primary="#0b5394", positive="#006b4f", warning="#7a5200", negative="#a83c00")
    ui.add_css("@import url('/static/board.css');")
    ui.link("Skip to what this page shows", "#page").classes("skip")
    ui.html('<p class="simulation">Simulation, not for clinical use</p>', sanitize=False)
    with ui.element("div").props('role="alert"'):
        degraded = _Degraded()
    with ui.element("header").classes("bar"):
        ui.link("pumpwatch", "/").classes("brand")
        with ui.element("nav").props('aria-label="Pages"'):
            for name, path in (*_PAGES, *(_ADMIN if visitor.role is Role.ADMINISTRATOR else ())):
                ui.link(name, path).props('aria-current="page"' if path == here else "")
        with ui.button(visitor.name, icon="account_circle", color=None).classes("me") as me:
            me.props('flat no-caps aria-haspopup="menu"')
            with ui.menu().props('aria-label="You"'):
                ui.item(f"{visitor.name}, {visitor.role}").props("role=presentation")
                ui.menu_item("My account").props(f"role=menuitem href={ACCOUNT}")
                ui.menu_item("Log out").props("role=menuitem").on("click", js_handler=_LOG_OUT)
    # Whoever presses a button before the page is connected would not be heard: until then nothing can be pressed.
    with ui.element("main").classes("page").props('id="page" inert') as content:
        yield
    ui.timer(0, lambda: content.props(remove="inert"), once=True)

    async def look() -> None:
        reasons = await _reasons()
        if reasons is None:
            ui.navigate.to("/login")
            return
        degraded.show(reasons)

    ui.timer(LOOK_AGAIN_S, look, immediate=True)


class _Degraded:
    """What is wrong with our own chain: the first of it, and all of it for whoever opens the rest."""

    def __init__(self) -> None:
        with ui.element("details").classes("degraded") as self._whole:
            with ui.element("summary"):
                self._first = ui.label()
            self._rest = ui.label().classes("lines")
        self._whole.visible = False

    def show(self, reasons: Sequence[str]) -> None:
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        self._first.text = f"We are not watching everything: {reasons[0]}{more}" if reasons else ""
        self._rest.text = "\n".join(reasons[1:])
        self._whole.classes("" if more else "alone", remove="alone" if more else "")
        self._whole.visible = bool(reasons)


async def _reasons() -> list[str] | None:
    """What is wrong with our own chain; None: the session is over."""
    try:
        if await desk.still_here() is None:
            return None
        async with desk.database() as connection:
            return await reasons_not_ready(connection, desk.now())
    except Exception as error:
        if reason := database_reason(error):
            return [reason]
        raise


def put_into_address(path: str, chosen: Mapping[str, object]) -> None:
    """Let the address say what was chosen, so that it can be kept and sent; what is not chosen is left out."""
    query = urlencode({name: value for name, value in chosen.items() if value not in {None, ""}})
    ui.run_javascript(f"history.replaceState(history.state, '', {json.dumps(path + (f'?{query}' if query else ''))})")


def follow(wanted: Wanted, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` soon after something of it has changed, as long as the page is open."""
    client = ui.context.client
    task = background_tasks.create(_follow(client, Look(desk.visitor(), wanted), changed))
    client.on_delete(task.cancel)


async def _follow(client: Client, look: Look, changed: Callable[[], Awaitable[None]]) -> None:
    async with _looking(look):
        while True:
            await look.queue.get()
            while not look.queue.empty():
                look.queue.get_nowait()
            look.why = ""  # however much it was: the page is made anew
            with client, suppress(RuntimeError):  # the client is gone meanwhile
                await changed()
            await asyncio.sleep(_AT_MOST_EVERY_S)


@asynccontextmanager
async def _looking(look: Look) -> AsyncIterator[None]:
    await desk.live().add(look)
    try:
        yield
    finally:
        desk.live().remove(look)


def refused(problem: Problem) -> None:
    """Below the heading of a page that has nothing to show: why, also in its status."""
    ui.context.client.status_code = problem.status
    ui.label(f"{problem.detail[:1].upper()}{problem.detail[1:]}.")
