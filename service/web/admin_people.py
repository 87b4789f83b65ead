"""Who may log in? People with their roles and sites; added, changed, let in by a link, disabled."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from fastapi import Response
from nicegui import ui

from service.api import accounts, sites
from service.api.accounts import AccountSettings, NewAccount, Person, SetPassword
from service.api.passwords import LEAST_CHARACTERS, MOST_CHARACTERS
from service.api.problems import Problem
from service.postgres.accounts import Role
from service.web import admin_frame, desk, frame
from service.web.admin_forms import Form, Values, button, facts, heading, live, row, shown_once, table
from service.web.told import tried
from service.web.words import ago

AGAIN_S: Final = 5.0
MOST_SITES: Final = 1000
PASSWORD: Final = f"At least {LEAST_CHARACTERS} characters"
_ROLES: Final = {
    str(Role.VIEWER): "Viewer: looks",
    str(Role.CLINICIAN): "Clinician: answers alerts, records",
    str(Role.ADMINISTRATOR): "Administrator: everything",
}


def add() -> None:
    frame.at("/admin/people")(_list)
    frame.at("/admin/people/{name}")(_one)


async def _list() -> None:
    with admin_frame.page("People", "/admin/people"):
        with ui.element("div").classes("top"):
            heading("People")
            button("Add somebody", _add)
        await live(_all, _table, AGAIN_S)()


async def _all() -> Sequence[Person]:
    return (await admin_frame.asked(lambda c, a: accounts.list_accounts(connection=c, _=a))).items


def _table(people: Sequence[Person]) -> None:
    if not people:
        ui.label("Nobody has an account yet.").classes("empty")
        return
    with table(("Name", "Role", "Sees", "Comes in by", "Last here", "How it is")):
        for each in people:
            row(
                partial(ui.link, each.name, f"/admin/people/{each.name}"),
                each.role,
                sees(each.sites),
                _comes_in(each),
                ago(each.last_seen_at, desk.now()),
                partial(_state, each),
            )


def sees(of_sites: Sequence[str] | None) -> str:
    return "everything" if of_sites is None else ", ".join(of_sites) or "nothing"


def _comes_in(person: Person) -> str:
    return "a password" if person.has_password else "a link"


def _state(person: Person) -> None:
    if person.disabled_at is None:
        ui.label("May log in").classes("good")
    else:
        ui.label(f"Disabled {ago(person.disabled_at, desk.now())}").classes("off")


async def site_names() -> dict[str, str]:
    """To choose from."""
    page = await admin_frame.asked(
        lambda c, a: sites.list_sites(context=desk.context(), connection=c, account=a, limit=MOST_SITES, page=None)
    )
    return {each.site: f"{each.site}, {each.name}" for each in page.items}


def sites_fields(form: Form, names: dict[str, str], chosen: Sequence[str] | None) -> None:
    """All, or some."""
    form.tick("all_sites", "Sees everything", value=chosen is None)
    form.choices("sites", "Or these sites", names, [each for each in chosen or () if each in names])
    form["sites"].bind_visibility_from(form["all_sites"], "value", value=False)


def chosen_sites(values: Values) -> list[str] | None:
    return None if values["all_sites"] else values["sites"]


async def _add() -> None:
    names = await site_names()
    form = Form("Add somebody", "Without a password they come in by a link, which is shown next.")
    with form:
        form.text("name", "Name", hint="What history and audit call them; never used again", most=100)
        form.choice("role", "Role", _ROLES, str(Role.CLINICIAN))
        sites_fields(form, names, None)
        form.text(
            "password",
            "Password (optional)",
            kind="password",
            hint=PASSWORD,
            most=MOST_CHARACTERS,
            filled_in="new-password",
        )

    async def do(values: Values) -> str:
        given = NewAccount(
            name=values["name"] or "", role=values["role"], sites=chosen_sites(values), password=values["password"]
        )
        made = await admin_frame.asked(
            lambda c, a: accounts.add_account(
                connection=c, passwords=desk.passwords(), response=Response(), account=a, given=given
            )
        )
        if not made.has_password:
            await _link(made.name)
        return f"{made.name} was added"

    form.ends_with("Add", do)


async def _one(name: str) -> None:
    async def read() -> Person:
        return await admin_frame.asked(
            lambda c, a: accounts.get_account(connection=c, response=Response(), _=a, name=name)
        )

    with admin_frame.page(name, "/admin/people"):
        try:
            person = await read()
        except Problem as problem:
            heading("Nobody of this name")
            frame.refused(problem)
            return
        heading(person.name)
        with ui.element("div").classes("acts"):
            button("Change", lambda: _change(name, read))
            button("Link to log in", lambda: _tell_link(name), quiet=True)
            button("Set a password", lambda: _password(name), quiet=True)
        await live(read, _show, AGAIN_S)()


def _show(person: Person) -> None:
    now = desk.now()
    facts(
        {
            "Role": person.role,
            "Sees": sees(person.sites),
            "Comes in by": _comes_in(person),
            "Last here": ago(person.last_seen_at, now),
            "Since": f"{person.created_at:%Y-%m-%d}",
            "How it is": "May log in" if person.disabled_at is None else f"Disabled {ago(person.disabled_at, now)}",
        }
    )


async def _change(name: str, read: Callable[[], Awaitable[Person]]) -> None:
    person, names = await read(), await site_names()
    form = Form(f"Change {person.name}", "They have to log in again.")
    with form:
        form.choice("role", "Role", _ROLES, str(person.role))
        sites_fields(form, names, person.sites)
        form.tick("disabled", "Disabled: may not log in", value=person.disabled_at is not None)

    async def do(values: Values) -> str:
        given = AccountSettings(role=values["role"], sites=chosen_sites(values), disabled=values["disabled"])
        await admin_frame.asked(
            lambda c, a: accounts.change_account(
                context=desk.context(),
                connection=c,
                response=Response(),
                account=a,
                name=name,
                given=given,
                if_match=f'"{person.version}"',
            )
        )
        return "Changed"

    form.ends_with("Change", do)


def _password(name: str) -> None:
    form = Form(f"Set a password for {name}", "Every session of theirs ends.")
    with form:
        form.text(
            "password", "New password", kind="password", hint=PASSWORD, most=MOST_CHARACTERS, filled_in="new-password"
        )

    async def do(values: Values) -> str:
        given = SetPassword(password=values["password"] or "")
        await admin_frame.asked(
            lambda c, a: accounts.set_password(
                connection=c, passwords=desk.passwords(), account=a, name=name, given=given
            )
        )
        return "The password is set"

    form.ends_with("Set it", do)


async def _tell_link(name: str) -> None:
    await tried(_link(name), "A link was made")


async def _link(name: str) -> None:
    made = await admin_frame.asked(
        lambda c, a: accounts.make_link(context=desk.context(), connection=c, account=a, name=name)
    )
    address = str(ui.context.client.request.base_url).rstrip("/") + made.path
    shown_once(
        "Link to log in", f"It lets {name} in once, until {made.ends_at:%H:%M} UTC. It is never shown again.", address
    )
