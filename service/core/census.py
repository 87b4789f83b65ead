"""How many pumps are in which state, and of how many is what known? Counted over the whole fleet.

A state and a verdict depend on a few facts of a pump: they are found once for all pumps that share them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from service.core.change import Condition
from service.core.verdicts import Known, Verdict, verdicts_of

NO_SITE: Final = ""


class State(StrEnum):
    """What of a pump is seen first. Each pump is in one."""

    OUT_OF_SERVICE = "out_of_service"
    NEVER_HEARD = "never_heard"
    SILENT = "silent"  # alerted
    OVERDUE = "overdue"  # not heard for longer than it may be, and not judged yet
    HEARD = "heard"


class Alike(NamedTuple):
    """Pumps that share every fact that is counted."""

    pumps: int
    site: str | None
    flow_channel: str
    reservoir_channel: str
    bolus_cap: bool
    programmed: bool
    registered: bool
    in_service: bool
    ever_heard: bool
    heard: bool
    """No longer ago than the rules of each allow: `verdicts.is_heard`."""
    silent: bool
    """Its silence is alerted."""
    written: Mapping[str, str]
    """Verdicts by condition, of those that are not `does_not_hold`."""
    longest_unheard_at: datetime | None
    """When the one was last heard that was heard longest ago."""


@dataclass(slots=True)
class Site:
    pumps: int = 0
    states: Counter[State] = field(default_factory=Counter)
    holding: int = 0
    """Pumps of which some condition holds."""


@dataclass(slots=True)
class Census:
    pumps: int = 0
    registered: int = 0
    states: Counter[State] = field(default_factory=Counter)
    verdicts: dict[Condition, Counter[Verdict]] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    longest_unheard_at: datetime | None = None
    """When the one in service was last heard that was heard longest ago."""


def state_of(*, in_service: bool, silent: bool, ever_heard: bool, heard: bool) -> State:
    if not in_service:
        return State.OUT_OF_SERVICE
    if silent:
        return State.SILENT
    if not ever_heard:
        return State.NEVER_HEARD
    return State.HEARD if heard else State.OVERDUE


def census(groups: Iterable[Alike], now: datetime) -> Census:
    found = Census()
    for group in groups:
        _enter(found, group)
        for condition, verdict in _verdicts(group, now).items():
            found.verdicts.setdefault(condition, Counter())[verdict] += group.pumps
    return found


def _verdicts(group: Alike, now: datetime) -> dict[Condition, Verdict]:
    known = verdicts_of(
        {condition: Known(Verdict(verdict)) for condition, verdict in group.written.items()},
        flow_channel=group.flow_channel,
        reservoir_channel=group.reservoir_channel,
        bolus_cap=group.bolus_cap,
        programmed=group.programmed,
        registered=group.registered,
        silent_since=now if group.silent else None,
        heard=group.heard,
    )
    return {condition: each.verdict for condition, each in known.items()}


def _enter(found: Census, group: Alike) -> None:
    site = found.sites.setdefault(group.site or NO_SITE, Site())
    state = state_of(in_service=group.in_service, silent=group.silent, ever_heard=group.ever_heard, heard=group.heard)
    found.pumps += group.pumps
    found.registered += group.pumps * group.registered
    found.states[state] += group.pumps
    site.pumps += group.pumps
    site.states[state] += group.pumps
    site.holding += group.pumps * (Verdict.HOLDS in group.written.values())
    if group.in_service and group.longest_unheard_at is not None:
        oldest = found.longest_unheard_at
        found.longest_unheard_at = group.longest_unheard_at if oldest is None else min(oldest, group.longest_unheard_at)
