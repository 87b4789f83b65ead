"""Who am I here, what do I see, and how do I change my password? For everybody, of themselves alone."""

from typing import Any, Final, NamedTuple

from nicegui import ui

from service.api import sessions
from service.api.passwords import MOST_CHARACTERS
from service.api.problems import wrong_field
from service.api.sessions import NewPassword
from service.postgres import people
from service.postgres.accounts import Role
from service.web import desk, frame
from service.web.admin_forms import Form, Values, button, facts, heading, live
from service.web.admin_people import PASSWORD, sees

AGAIN_S: Final = 5.0


def add() -> None:
    frame.at(frame.ACCOUNT)(_page)


async def _page() -> None:
    with frame.page("My account", frame.ACCOUNT):
        ui.add_css("@import url('/static/admin.css');")
        heading("My account")
        await live(_me, _show, AGAIN_S)()


class _Me(NamedTuple):
    name: str
    role: Role
    sites: frozenset[str] | None
    has_password: bool


async def _me() -> _Me:
    account = await desk.present()
    async with desk.database() as connection:
        found = await people.credentials(connection, account.name)
    return _Me(account.name, account.role, account.sites, found is not None and found.password is not None)


def _show(me: _Me) -> None:
    facts(
        {
            "Name": me.name,
            "Role": me.role,
            "Sees": sees(None if me.sites is None else sorted(me.sites)),
            "Comes in by": "a password" if me.has_password else "a link: no password yet",
        }
    )
    with ui.element("div").classes("acts"):
        button(_verb(has=me.has_password), lambda: _password(has=me.has_password))


def _verb(*, has: bool) -> str:
    return "Change my password" if has else "Set a password"


def _password(*, has: bool) -> None:
    form = Form(
        _verb(has=has),
        "Four words are long enough, and easy to remember; your name must not be in it. "
        "Wherever else you are logged in, you are logged out.",
    )
    with form:
        if has:
            form.text("old", "Old password", kind="password", most=MOST_CHARACTERS, filled_in="current-password")
        new: dict[str, Any] = {"kind": "password", "most": MOST_CHARACTERS, "filled_in": "new-password"}
        form.text("new", "New password", hint=PASSWORD, **new)
        form.text("again", "New password again", **new)

    async def do(values: Values) -> str:
        if values["new"] != values["again"]:
            raise wrong_field("body", "again", "is not the same as above")
        account = await desk.present()
        await sessions.change_password(
            context=desk.context(),
            passwords=desk.passwords(),
            session=desk.session(),
            address=desk.context().throttle.address_of(ui.context.client.request),
            account=account,
            given=NewPassword(old=values.get("old"), new=values["new"] or ""),
        )
        return "Your password is changed; you are logged out everywhere else"

    form.ends_with("Change it" if has else "Set it", do)
