"""Who is told of which alerts, in which order, how often? Policies, and the rules that choose between them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import asyncpg
from fastapi import Response
from nicegui import ui

from service.api import escalation
from service.api.escalation import Kept, Kind
from service.api.problems import wrong_field
from service.core.change import Priority
from service.core.policy import EVERYBODY
from service.core.reading import DrugClass
from service.core.wording import span
from service.postgres import rosters
from service.postgres.accounts import Account
from service.web import admin_frame, admin_preview, desk, frame
from service.web.admin_forms import Form, Values, button, confirm, heading, live, row, table
from service.web.admin_on_call import delete, put
from service.web.admin_preview import said

AGAIN_S: Final = 10.0
STEPS: Final = 6
"""That the form has room for; a policy with more is changed over the API."""
_ANY: Final = ""


class Seen(NamedTuple):
    policies: Sequence[Kept]
    rules: Kept


def add() -> None:
    frame.at("/admin/policies")(_page)


async def _page() -> None:
    with admin_frame.page("Policies", "/admin/on-call"):
        with ui.element("div").classes("top"):
            heading("Policies and rules")
            ui.link("Who is on call", "/admin/on-call")
        again = live(_read, lambda seen: _show(seen, again), AGAIN_S)
        with ui.element("div").classes("acts"):
            button("Add a policy", lambda: _policy(None, again), quiet=True)
            button("Add a rule", lambda: _rule(again), quiet=True)
        await again()
        admin_preview.add_to(await _sites())


async def _read() -> Seen:
    async def read(connection: asyncpg.Connection, _: Account) -> Seen:
        policies = await escalation.list_kept(connection=connection, kind=Kind.POLICIES)
        return Seen(policies.items, await escalation.get_rules(connection=connection, response=Response()))

    return await admin_frame.asked(read)


def _show(seen: Seen, again: Callable[[], Awaitable[None]]) -> None:
    heading("Policies", 2)
    if not seen.policies:
        ui.label("There is none: every endpoint is told of everything at once.").classes("faint")
    else:
        with table(("Policy", "Steps", "Repeated", "Quiet hours", "")):
            for each in seen.policies:
                row(
                    each.name,
                    _steps(each.document["steps"]),
                    _repeats(each.document),
                    _quiet(each.document.get("quiet")),
                    partial(_buttons, each, again),
                )
    heading("Rules", 2)
    ui.label("The most particular rule that fits an alert counts; of equals the first. None: everybody.").classes(
        "faint"
    )
    given = seen.rules.document.get("rules", [])
    if given:
        with table(("Site", "Drug class", "Priority", "Policy", "")):
            for number, each in enumerate(given):
                name = f"Remove rule {number + 1}"
                row(
                    each.get("site") or "any",
                    each.get("drug_class") or "any",
                    each.get("priority") or "any",
                    each["policy"],
                    partial(button, "Remove", partial(_remove, seen.rules, number, again), name=name, quiet=True),
                )


def _steps(steps: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{_after(each['after_s'])}: {', '.join(map(said, each['targets']))}" for each in steps)


def _after(seconds: float) -> str:
    return "at once" if not seconds else f"after {_long(seconds)}"


def _long(seconds: float) -> str:
    return span(timedelta(seconds=seconds))


def _repeats(document: dict[str, Any]) -> str:
    first, most = document.get("repeat_after_s", 300.0), document.get("repeat_at_most_s", 3600.0)
    return f"after {_long(first)}, then at most {_long(most)} apart"


def _quiet(quiet: dict[str, str] | None) -> str:
    return "none" if quiet is None else f"{quiet['begins'][:5]} to {quiet['ends'][:5]}, low priority"


def _buttons(kept: Kept, again: Callable[[], Awaitable[None]]) -> None:
    with ui.element("div").classes("buttons"):
        if len(kept.document["steps"]) <= STEPS:
            button("Change", partial(_policy, kept, again), name=f"Change {kept.name}", quiet=True)
        button("Delete", partial(delete, kept, Kind.POLICIES, again), name=f"Delete {kept.name}", quiet=True)


async def _targets() -> dict[str, str]:
    """Everybody who can be told, as a step names them."""

    async def read(connection: asyncpg.Connection, _: Account) -> list[str]:
        roster = await rosters.load(connection)
        endpoints, _sites = await rosters.names(connection)
        kinds = (("rota", roster.rotas), ("contact", roster.contacts), ("endpoint", endpoints))
        return [f"{kind}:{name}" for kind, some in kinds for name in sorted(some)]

    return {target: said(target) for target in [EVERYBODY, *await admin_frame.asked(read)]}


async def _policy(kept: Kept | None, again: Callable[[], Awaitable[None]]) -> None:
    targets, stored = await _targets(), kept.document if kept else {}
    steps = stored.get("steps", [{"after_s": 0, "targets": [EVERYBODY]}])
    quiet = stored.get("quiet") or {}
    form = Form(
        f"Change {kept.name}" if kept else "Add a policy",
        "Escalations that are under way keep the policy that they began with.",
    )
    with form:
        if kept is None:
            form.text("name", "Name", most=64)
        for number in range(STEPS):
            step = steps[number] if number < len(steps) else {"after_s": None, "targets": []}
            after = None if step["after_s"] is None else step["after_s"] / 60
            with ui.element("div").classes("pair") as place:
                form.number(f"steps[{number}].after_s", f"Step {number + 1}: after, min", after)
                known = [each for each in step["targets"] if each in targets]
                form.choices(f"steps[{number}].targets", f"Step {number + 1}: who", targets, known)
            if number > len(steps):
                before = form[f"steps[{number - 1}].targets"]
                place.bind_visibility_from(before, "value", backward=bool)
        with ui.element("div").classes("pair"):
            form.number("repeat_after_s", "All again after, min", stored.get("repeat_after_s", 300.0) / 60)
            form.number("repeat_at_most_s", "At most apart, min", stored.get("repeat_at_most_s", 3600.0) / 60)
            form.text("begins", "Quiet from", quiet.get("begins", "")[:5], kind="time", hint="Low priority alone")
            form.text("ends", "Quiet until", quiet.get("ends", "")[:5], kind="time", hint="Local time of the site")

    async def do(values: Values) -> str:
        name = kept.name if kept else values["name"]
        await put(Kind.POLICIES, name, {**_others(stored), **_document(values)}, kept.version if kept else 0)
        await again()
        return f"{name} is kept"

    form.ends_with("Keep", do)


def _others(stored: dict[str, Any]) -> dict[str, Any]:
    """What the form does not show."""
    return {name: value for name, value in stored.items() if name in {"remind_after_s", "answer_within_s"}}


def _document(values: Values) -> dict[str, Any]:
    steps = []
    for number in range(STEPS):
        after, targets = values[f"steps[{number}].after_s"], values[f"steps[{number}].targets"]
        if not targets and (after is not None or not number):
            raise wrong_field("body", f"steps[{number}].targets", "choose who is told")
        if targets:
            steps.append({"after_s": (after or 0) * 60, "targets": targets})
    quiet = {name: f"{values[name]}:00" for name in ("begins", "ends") if values[name]}
    every = {name: values[name] * 60 for name in ("repeat_after_s", "repeat_at_most_s") if values[name] is not None}
    return {"steps": steps, **every, "quiet": quiet or None}


async def _put_rules(kept: Kept, rules: Sequence[dict[str, Any]], again: Callable[[], Awaitable[None]]) -> None:
    await admin_frame.asked(
        lambda c, a: escalation.put_rules(
            context=desk.context(),
            connection=c,
            account=a,
            response=Response(),
            given={"rules": list(rules)},
            if_match=f'"{kept.version}"',
        )
    )
    await again()


def _remove(kept: Kept, number: int, again: Callable[[], Awaitable[None]]) -> None:
    async def do() -> str:
        rules = kept.document["rules"]
        await _put_rules(kept, [*rules[:number], *rules[number + 1 :]], again)
        return "The rule is removed"

    confirm("Remove this rule?", "Alerts from now on are told of by what then fits them best.", "Remove", do)


async def _sites() -> list[str]:
    async def read(connection: asyncpg.Connection, _: Account) -> list[str]:
        return sorted((await rosters.names(connection))[1])

    return await admin_frame.asked(read)


async def _rule(again: Callable[[], Awaitable[None]]) -> None:
    seen, sites = await _read(), await _sites()
    policies = [each.name for each in seen.policies]
    if not policies:
        ui.notify("Add a policy first: a rule says which one is for which alerts", type="warning")
        return
    form = Form("Add a rule", "Which policy is for which alerts.")
    with form:
        with ui.element("div").classes("pair"):
            form.choice("site", "Site", {_ANY: "any", **{each: each for each in sites}}, _ANY)
            form.choice("drug_class", "Drug class", {_ANY: "any", **{str(each): str(each) for each in DrugClass}}, _ANY)
            form.choice("priority", "Priority", {_ANY: "any", **{str(each): str(each) for each in Priority}}, _ANY)
        form.choice("policy", "Policy", {each: each for each in policies}, policies[0])

    async def do(values: Values) -> str:
        rule = {name: value for name, value in values.items() if value}
        await _put_rules(seen.rules, [*seen.rules.document.get("rules", []), rule], again)
        return "The rule is kept"

    form.ends_with("Keep", do)
