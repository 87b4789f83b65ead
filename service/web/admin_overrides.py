"""What was set over the rulebook, for which pump, site or drug class, by whom and why? Set, looked at, ended."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from nicegui import ui

from service.api import rules
from service.api.rules import NewOverride, OverrideRow
from service.core.change import Condition, Priority
from service.core.explanation import default_of, keys_of, unit_of
from service.core.limits import LIMITS
from service.core.override import ENABLED, PRIORITY, SHADOW, Scope, Value, shown_value
from service.core.override_effect import Effect, effect_of
from service.core.priorities import PRIORITIES
from service.core.reading import DrugClass
from service.web import admin_frame, desk, frame
from service.web.admin_forms import Form, Values, button, confirm, heading, live, row, table
from service.web.admin_people import site_names
from service.web.words import ago, condition

AGAIN_S: Final = 5.0
_SCOPES: Final = {str(Scope.PUMP): "A pump", str(Scope.SITE): "A site", str(Scope.DRUG_CLASS): "A drug class"}
_CLASSES: Final = {
    Effect.SILENT: "bad",
    Effect.LESS: "bad",
    Effect.LESS_URGENT: "bad",
    Effect.MORE: "good",
    Effect.MORE_URGENT: "good",
}
_MEANINGS: Final = {
    PRIORITY: "how urgent each step is, as low, medium, high with a comma between",
    ENABLED: "true or false: whether it is judged at all",
    SHADOW: "true or false: recorded, and nobody is told",
}


def add() -> None:
    frame.at("/admin/overrides")(_page)


async def _page() -> None:
    with admin_frame.page("Overrides", "/admin/overrides"):
        with ui.element("div").classes("top"):
            heading("Overrides of the rulebook")
            button("Set a value", lambda: _set(again))
        again = live(_all, lambda found: _show(found, again), AGAIN_S)
        await again()


async def _all() -> Sequence[OverrideRow]:
    found = await admin_frame.asked(
        lambda c, a: rules.list_overrides(context=desk.context(), connection=c, account=a, ended=True)
    )
    return found.items


def _show(found: Sequence[OverrideRow], again: Callable[[], Awaitable[None]]) -> None:
    now = desk.now()
    stands = [each for each in found if each.ended_at is None and (each.expires_at is None or each.expires_at > now)]
    over = [each for each in found if each not in stands]
    if not stands:
        ui.label("Nothing is set over the rulebook.").classes("empty")
    else:
        with table(("For", "What", "Value", "Effect", "Why", "Who answers for it", "Until", "")):
            for each in stands:
                row(
                    _whose(each),
                    each.key,
                    _value(each),
                    partial(_effect, each),
                    each.reason or "not said",
                    f"{each.author}, set {ago(each.made_at, now)}",
                    "ended by hand" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d %H:%M} UTC",
                    partial(
                        button, "End", partial(_end, each, again), name=f"End {each.key} for {_whose(each)}", quiet=True
                    ),
                )
    if over:
        with ui.element("details"):
            with ui.element("summary"):
                ui.label(f"No longer in force: {len(over)}")
            with table(("For", "What", "Value", "Why", "Who answered for it", "Ended")):
                for each in over:
                    ended = f"by {each.ended_by}, {ago(each.ended_at, now)}" if each.ended_at else "expired"
                    row(_whose(each), each.key, _value(each), each.reason or "not said", each.author, ended)


def _whose(one: OverrideRow) -> str:
    return f"{one.scope.replace('_', ' ')} {one.name}"


def _read_value(value: Any) -> Value:
    if isinstance(value, bool | int | float):
        return value
    words = [value] if isinstance(value, str) else value
    return tuple(Priority(word) for word in words)


def _value(one: OverrideRow) -> str:
    section, _, key = one.key.partition(".")
    unit = unit_of(section, key)
    return f"{_plain(_read_value(one.value))} {unit}".strip()


def _plain(value: Value) -> str:
    return ", ".join(value) if isinstance(value, tuple) else shown_value(value)


def _effect(one: OverrideRow) -> None:
    section, _, key = one.key.partition(".")
    drug_class = DrugClass(one.name) if one.scope == "drug_class" else DrugClass.UNKNOWN
    default = default_of(section, key, drug_class)
    found = effect_of(key, _read_value(one.value), default)
    ui.label(f"{found}; by default {_plain(default)}").classes(_CLASSES.get(found, ""))


def _end(one: OverrideRow, again: Callable[[], Awaitable[None]]) -> None:
    async def do() -> str:
        await admin_frame.asked(
            lambda c, a: rules.end_override(context=desk.context(), connection=c, account=a, number=one.id)
        )
        await again()
        return "Ended: what was said before counts again within seconds"

    confirm(f"End {one.key} for {_whose(one)}?", "What was decided by it stays as it was decided.", "End", do)


async def _set(again: Callable[[], Awaitable[None]]) -> None:
    names = await site_names()
    form = Form("Set a value over the rulebook", "In force within seconds. It ends an earlier one of the same value.")
    sections = list(dict.fromkeys([*LIMITS, *Condition]))
    with form:
        with ui.element("div").classes("pair"):
            form.choice("scope", "For", _SCOPES, str(Scope.PUMP))
            form.text("name", "Id of the pump", most=64)
            form.choice("site", "Site", names, next(iter(names), None))
            form.choice("drug_class", "Drug class", {str(each): str(each) for each in DrugClass}, "baclofen")
        for field, scope in (("name", Scope.PUMP), ("site", Scope.SITE), ("drug_class", Scope.DRUG_CLASS)):
            form[field].bind_visibility_from(form["scope"], "value", value=str(scope))
        with ui.element("div").classes("pair"):
            form.choice("section", "Condition", {each: condition(each) for each in sections}, str(Condition.STALL))
            form.choice("key", "What of it", _keys(Condition.STALL), keys_of(Condition.STALL)[0])
        form.text("value", "Value", most=100)
        told = ui.label().classes("faint").props('aria-live="polite"')
        form.long("reason", "Why", most=500)
        form.text("author", "Who answers for it", hint="Empty: you", most=100)
        form.text("expires_at", "Until the end of", kind="date", hint="UTC; needed for a site and a pump")

    def say() -> None:
        values = form.values
        told.text = _told(values["section"], values["key"], values["value"])

    def choose() -> None:
        section = form["section"].value
        form["key"].set_options(_keys(section), value=keys_of(section)[0])
        say()

    form["section"].on_value_change(choose)
    form["key"].on_value_change(say)
    form["value"].on_value_change(say)
    say()

    async def do(values: Values) -> str:
        scope = values["scope"]
        given: dict[str, Any] = {
            "scope": scope,
            "name": values["name" if scope == Scope.PUMP else scope] or "",
            "key": f"{values['section']}.{values['key']}",
            "value": _typed(values["value"] or ""),
            "reason": values["reason"] or "",
            "author": values["author"] or "",
            "expires_at": _end_of(values["expires_at"]),
        }
        await admin_frame.asked(
            lambda c, a: rules.set_override(
                context=desk.context(), connection=c, account=a, given=NewOverride.model_validate(given)
            )
        )
        await again()
        return "Set"

    form.ends_with("Set", do)


def _keys(section: str) -> dict[str, str]:
    return {key: key.replace("_", " ") for key in keys_of(section)}


def _told(section: str, key: str, text: str | None) -> str:
    """What it means, within which bounds, and what this value would change."""
    limit = LIMITS.get(section, {}).get(key)
    if limit is None:
        meaning = _MEANINGS[key]
    else:
        meaning = f"{limit.meaning}; {limit.least:g} to {limit.most:g} {limit.unit}".strip()
    default = default_of(section, key, DrugClass.UNKNOWN)
    said = f"{meaning[0].upper()}{meaning[1:]}. By default {_plain(default)}."
    try:
        value = _read_value(_typed(text or ""))
        fits = isinstance(value, tuple) == isinstance(default, tuple)
        if text and fits and (not isinstance(value, tuple) or len(value) == len(PRIORITIES[Condition(section)])):
            said += f" This: {effect_of(key, value, default)}."
    except ValueError:
        pass
    return said


def _typed(text: str) -> bool | float | list[str]:
    """A number, true or false, or words with commas between."""
    if text in {"true", "false"}:
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return [word.strip() for word in text.split(",")]


def _end_of(day: str | None) -> datetime | None:
    return None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
