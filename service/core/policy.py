"""Whom does an alert reach, in which order, and how often is it said again? Policies, and which one is an alert's own.

A policy is snapshot into the alert when it begins: changing it changes no escalation that is under way.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Final, Literal

import msgspec

from service.core.change import Priority
from service.core.reading import DrugClass
from service.core.rota import LocalTime, Name, instant

EVERYBODY: Final = "endpoint:*"
"""The target that is every enabled endpoint."""

Target = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(endpoint|contact|rota):([A-Za-z0-9][A-Za-z0-9 _.-]{0,99}|\*)$(?!\n)",
        description="endpoint:NAME, endpoint:*, contact:NAME or rota:NAME",
    ),
]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told, and how long after the alert was raised."""

    after_s: Seconds
    targets: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1, max_length=50)]


class QuietHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Local times of the site between which nobody is told of low priority; over midnight where `ends` is earlier."""

    begins: LocalTime
    ends: LocalTime


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=20)]
    repeat_after_s: Annotated[float, msgspec.Meta(ge=30, le=86_400)] = 300.0
    """After the last step all of them are told again, first after this, each time after twice as long."""
    repeat_at_most_s: Annotated[float, msgspec.Meta(ge=30, le=86_400)] = 3600.0
    remind_after_s: Annotated[float, msgspec.Meta(ge=60, le=7 * 86_400)] = 4 * 3600.0
    """Whoever has acknowledged is asked again after this, while the condition lasts."""
    answer_within_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)] = 900.0
    """The acknowledgement no longer counts if that is not answered within this."""
    quiet: QuietHours | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts a policy is for; what is not said fits all. The most particular rule counts, of equals the first."""

    policy: Name
    site: str | None = None
    drug_class: DrugClass | None = None
    priority: Literal["high", "medium", "low"] | None = None

    @property
    def particulars(self) -> int:
        return sum(said is not None for said in (self.site, self.drug_class, self.priority))


FALLBACK: Final = Policy(name="everybody", steps=(Step(after_s=0, targets=(EVERYBODY,)),))
"""Where no rule fits, and where a policy reaches nobody: every endpoint at once."""

_HOUR_S: Final = 3600.0
# What is less urgent is said again less often: whoever has chosen nothing must not be called all night for it.
FALLBACKS: Final[Mapping[Priority, Policy]] = {
    Priority.HIGH: FALLBACK,
    Priority.MEDIUM: msgspec.structs.replace(
        FALLBACK, repeat_after_s=_HOUR_S, repeat_at_most_s=4 * _HOUR_S, remind_after_s=24 * _HOUR_S
    ),
    Priority.LOW: msgspec.structs.replace(
        FALLBACK,
        repeat_after_s=24 * _HOUR_S,
        repeat_at_most_s=24 * _HOUR_S,
        remind_after_s=7 * 24 * _HOUR_S,
        answer_within_s=24 * _HOUR_S,
    ),
}


def policy_for(
    rules: Iterable[Rule], policies: Mapping[str, Policy], site: str | None, drug_class: DrugClass, priority: Priority
) -> Policy:
    fitting = [
        rule
        for rule in rules
        if rule.site in {None, site}
        and rule.drug_class in {None, drug_class}
        and rule.priority in {None, priority}
        and rule.policy in policies
    ]
    return policies[max(fitting, key=lambda rule: rule.particulars).policy] if fitting else FALLBACKS[priority]


def policy_problems(
    policy: Policy, endpoints: Collection[str], contacts: Collection[str], rotas: Collection[str]
) -> list[tuple[str, str]]:
    """What is wrong with it beside its form, as (field, what)."""
    known = {"endpoint": endpoints, "contact": contacts, "rota": rotas}
    problems = []
    before_s = -1.0
    for number, step in enumerate(policy.steps):
        where = f"steps[{number}]"
        if step.after_s <= before_s:
            problems.append((f"{where}.after_s", "must be later than the step before"))
        before_s = step.after_s
        for target in step.targets:
            kind, _, name = target.partition(":")
            if name == "*" and kind != "endpoint":
                problems.append((f"{where}.targets", f"{target}: only endpoint:* means all"))
            elif name != "*" and name not in known[kind]:
                problems.append((f"{where}.targets", f"there is no {kind} {name!r}"))
    if policy.steps[0].after_s != 0:
        problems.append(("steps[0].after_s", "the first step is told at once: 0"))
    if policy.repeat_at_most_s < policy.repeat_after_s:
        problems.append(("repeat_at_most_s", "must not be less than repeat_after_s"))
    if policy.quiet is not None and policy.quiet.begins == policy.quiet.ends:
        problems.append(("quiet", "begins and ends at the same time: leave it out, or name a span"))
    return problems


def quiet_until(quiet: QuietHours | None, priority: Priority, zone: tzinfo, at: datetime) -> datetime | None:
    """When the quiet hours that `at` falls into end; None outside them. They are for low priority alone."""
    if quiet is None or priority is not Priority.LOW:
        return None
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        begins, ends = _span(quiet, day, zone)
        if begins <= at < ends:
            return ends
    return None


def _span(quiet: QuietHours, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    over_midnight = quiet.ends <= quiet.begins
    return instant(day, quiet.begins, zone), instant(day + timedelta(days=over_midnight), quiet.ends, zone)
