"""How many pumps are in which state, and of how many is what known? Counted over the whole fleet.

A verdict depends on a few facts of a pump: it is found once for all pumps that share them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from service.core.change import Condition
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook
from service.core.verdicts import Known, Verdict, verdicts_of

NO_SITE: Final = ""

Group = tuple[object, ...]
"""The facts that verdicts depend on."""


class State(StrEnum):
    """What of a pump is seen first. Each pump is in one."""

    OUT_OF_SERVICE = "out_of_service"
    NEVER_HEARD = "never_heard"
    SILENT = "silent"  # alerted
    OVERDUE = "overdue"  # not heard for longer than it may be, and not judged yet
    HEARD = "heard"


class Counted(NamedTuple):
    """One pump, as far as it is counted."""

    pump_id: str
    site: str | None
    drug_class: str
    interval_s: float
    flow_channel: str
    reservoir_channel: str
    bolus_cap: bool
    programmed: bool
    registered: bool
    in_service: bool
    last_heard_at: datetime | None
    silent_since: datetime | None
    written: Mapping[str, str]
    """Verdicts by condition, of those that are not `does_not_hold`."""


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


def state_of(
    *,
    in_service: bool,
    silent_since: datetime | None,
    last_heard_at: datetime | None,
    silence_after_s: float,
    now: datetime,
) -> State:
    if not in_service:
        return State.OUT_OF_SERVICE
    if silent_since is not None:
        return State.SILENT
    if last_heard_at is None:
        return State.NEVER_HEARD
    return State.HEARD if (now - last_heard_at).total_seconds() <= silence_after_s else State.OVERDUE


def census(pumps: Iterable[Counted], rulebook: Rulebook, now: datetime) -> Census:
    found = Census()
    after_s: dict[tuple[float, str, str | None], float] = {}
    own = {override.name for override in rulebook.overrides if override.scope == "pump"}
    groups: Counter[Group] = Counter()
    example: dict[Group, Counted] = {}
    for pump in pumps:
        kind = (pump.interval_s, pump.drug_class, pump.site)
        if pump.pump_id in own or kind not in after_s:
            silence_after_s = rulebook.silence_after_s(
                pump.interval_s, DrugClass(pump.drug_class), site=pump.site, pump_id=pump.pump_id
            )
            if pump.pump_id not in own:
                after_s[kind] = silence_after_s
        else:
            silence_after_s = after_s[kind]
        state = state_of(
            in_service=pump.in_service,
            silent_since=pump.silent_since,
            last_heard_at=pump.last_heard_at,
            silence_after_s=silence_after_s,
            now=now,
        )
        _enter(found, pump, state)
        heard = pump.last_heard_at is not None and (now - pump.last_heard_at).total_seconds() <= silence_after_s
        group: Group = (
            *(pump.flow_channel, pump.reservoir_channel, pump.bolus_cap, pump.programmed, pump.registered, heard),
            *(pump.silent_since is not None, tuple(sorted(pump.written.items()))),
        )
        groups[group] += 1
        example.setdefault(group, pump._replace(last_heard_at=now if heard else None))
    for group, count in groups.items():
        for condition, verdict in _verdicts(example[group], now).items():
            found.verdicts.setdefault(condition, Counter())[verdict] += count
    return found


def _verdicts(pump: Counted, now: datetime) -> dict[Condition, Verdict]:
    known = verdicts_of(
        {condition: Known(Verdict(verdict)) for condition, verdict in pump.written.items()},
        flow_channel=pump.flow_channel,
        reservoir_channel=pump.reservoir_channel,
        bolus_cap=pump.bolus_cap,
        programmed=pump.programmed,
        registered=pump.registered,
        silent_since=pump.silent_since,
        last_heard_at=pump.last_heard_at,
        silence_after_s=0.0,
        now=now,
    )
    return {condition: each.verdict for condition, each in known.items()}


def _enter(found: Census, pump: Counted, state: State) -> None:
    site = found.sites.setdefault(pump.site or NO_SITE, Site())
    found.pumps += 1
    found.registered += pump.registered
    found.states[state] += 1
    site.pumps += 1
    site.states[state] += 1
    site.holding += Verdict.HOLDS in pump.written.values()
    if pump.in_service and pump.last_heard_at is not None:
        oldest = found.longest_unheard_at
        found.longest_unheard_at = pump.last_heard_at if oldest is None else min(oldest, pump.last_heard_at)
