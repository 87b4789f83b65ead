"""Who would be told of an alert, and when? As its policy says at an instant, if nobody answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from service.core.change import Priority
from service.core.policy import FALLBACK, FALLBACKS, Policy, quiet_until
from service.core.reading import DrugClass
from service.core.roster import Roster
from service.core.routing import Route, told

REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class Call:
    """One time that somebody is told."""

    what: str  # step 1 …, or repeat
    at: datetime
    targets: Sequence[str]
    endpoints: Sequence[str]  # that may be told; none: it is passed over


@dataclass(frozen=True, slots=True)
class Preview:
    policy: str
    because: str
    quiet_until: datetime | None
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What the alert would be about."""

    site: str | None
    drug_class: DrugClass
    priority: Priority
    simulated: bool
    time_zone: str


def preview(supposed: Supposed, roster: Roster, routes: Sequence[Route], at: datetime) -> Preview:
    """Rotas are asked who is on call at the time of each call."""
    policy = roster.policy(supposed.site, supposed.drug_class, supposed.priority)
    because = "no rule fits: everybody" if policy.name == FALLBACK.name else "the most particular rule that fits"
    usable = told(routes, supposed.priority, simulated=supposed.simulated)
    zone = roster.zones.get(supposed.time_zone, UTC)
    quiet = quiet_until(policy.quiet, supposed.priority, zone, at)
    calls = _calls(policy, roster, usable, quiet or at)
    if policy.name != FALLBACK.name and not any(call.endpoints for call in calls):
        because = f"the policy {policy.name} reaches no endpoint: everybody"
        policy = FALLBACKS[supposed.priority]
        calls = _calls(policy, roster, usable, quiet or at)
    return Preview(policy.name, because, quiet, calls)


def _calls(policy: Policy, roster: Roster, usable: Sequence[Route], begins: datetime) -> list[Call]:
    def call(what: str, at: datetime, targets: Sequence[str]) -> Call:
        names = roster.endpoints(targets, at)
        reached = sorted(route.name for route in usable if names is None or route.name in names)
        return Call(what, at, targets, reached)

    calls = [
        call(f"step {number}", begins + timedelta(seconds=step.after_s), step.targets)
        for number, step in enumerate(policy.steps, start=1)
    ]
    at = calls[-1].at
    everybody = tuple(dict.fromkeys(target for step in policy.steps for target in step.targets))
    for repeats in range(REPEATS):
        at += timedelta(seconds=min(policy.repeat_after_s * 2.0**repeats, policy.repeat_at_most_s))
        calls.append(call("repeat", at, everybody))
    return calls
