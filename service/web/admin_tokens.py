"""Which programs may come in? Tokens with what they may do, for which sites and until when; shown once, and revoked."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from functools import partial
from typing import Final

from nicegui import ui

from service.api import accounts
from service.api.accounts import NewToken, Token
from service.core.access import Scope
from service.postgres.accounts import Role
from service.web import admin_frame, desk, frame
from service.web.admin_forms import Form, Values, button, confirm, heading, live, row, shown_once, table
from service.web.admin_people import chosen_sites, sees, site_names, sites_fields
from service.web.words import ago

AGAIN_S: Final = 5.0
_SCOPES: Final = {
    str(Scope.READ): "read: look at everything but accounts",
    str(Scope.ALERTS): "alerts: answer them",
    str(Scope.REGISTRY): "registry: pumps and sites",
    str(Scope.RULES): "rules: overrides",
    str(Scope.DELIVERY): "delivery: endpoints and policies",
    str(Scope.ACCESS): "access: accounts and tokens",
}


def add() -> None:
    frame.at("/admin/tokens")(_page)


async def _page() -> None:
    with admin_frame.page("Tokens", "/admin/tokens"):
        with ui.element("div").classes("top"):
            heading("Tokens of programs")
            button("Make a token", _make)
        await live(_all, _tables, AGAIN_S)()


async def _all() -> Sequence[Token]:
    return (await admin_frame.asked(lambda c, a: accounts.list_tokens(connection=c, _=a))).items


def _in_use(token: Token) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > desk.now())


def _tables(tokens: Sequence[Token]) -> None:
    now = [each for each in tokens if _in_use(each)]
    before = [each for each in tokens if not _in_use(each)]
    if not now:
        ui.label("No token is in use.").classes("empty")
    else:
        with table(("Name", "Role", "For", "Sees", "Made", "Until", "")):
            for each in now:
                row(
                    each.name,
                    each.role,
                    _for(each),
                    sees(each.sites),
                    ago(each.created_at, desk.now()),
                    "revoked" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d %H:%M} UTC",
                    partial(button, "Revoke", partial(_revoke, each.name), name=f"Revoke {each.name}", quiet=True),
                )
    if before:
        heading("No longer in use", 2)
        with table(("Name", "Role", "For", "Made", "Ended")):
            for each in reversed(before):
                row(each.name, each.role, _for(each), ago(each.created_at, desk.now()), _ended(each))


def _for(token: Token) -> str:
    return "all that the role may do" if token.scopes is None else ", ".join(token.scopes)


def _ended(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {ago(token.revoked_at, desk.now())}"
    return f"expired {ago(token.expires_at, desk.now())}"


async def _make() -> None:
    names = await site_names()
    form = Form("Make a token", "It is shown once, when it is made.")
    with form:
        form.text("name", "Name", hint="What history and audit call the program", most=100)
        form.choice("role", "Role", {str(each): str(each).capitalize() for each in Role}, str(Role.VIEWER))
        form.choices("scopes", "Only for", _SCOPES, [], hint="Empty: all that the role may do")
        sites_fields(form, names, None)
        form.text("expires_at", "Until the end of", kind="date", hint="UTC; empty: until it is revoked")

    async def do(values: Values) -> str:
        given = NewToken(
            name=values["name"] or "",
            role=values["role"],
            scopes=values["scopes"] or None,
            sites=chosen_sites(values),
            expires_at=_end_of(values["expires_at"]),
        )
        made = await admin_frame.asked(
            lambda c, a: accounts.add_token(context=desk.context(), connection=c, account=a, given=given)
        )
        shown_once(
            f"The token {made.name}", "Keep it where the program can read it: it is never shown again.", made.token
        )
        return ""

    form.ends_with("Make it", do)


def _end_of(day: str | None) -> datetime | None:
    return None if day is None else datetime.combine(datetime.fromisoformat(day), time.max, UTC)


def _revoke(name: str) -> None:
    async def do() -> str:
        await admin_frame.asked(lambda c, a: accounts.end_token(connection=c, account=a, name=name))
        return "Revoked"

    confirm(f"Revoke the token {name}?", "Whoever uses it is refused from the next request on.", "Revoke", do)
