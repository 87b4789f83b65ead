"""Who is on call at an instant? A rota hands over at the same local time, also where the clocks change.

Every question is settled between instants, never between local times: a local time that comes twice in autumn hands
over once, and one that spring leaves out hands over when the clocks have moved.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated

import msgspec

Zones = Mapping[str, tzinfo]
"""Time zones by their IANA name: reading them is not the core's business."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$(?!\n)")]
LocalTime = Annotated[time, msgspec.Meta(tz=False, description="local, as 08:00:00")]


EIGHT = time.fromisoformat("08:00")


class StandIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody else, from an instant until another."""

    contact: Name
    from_at: Annotated[datetime, msgspec.Meta(tz=True)]
    until: Annotated[datetime, msgspec.Meta(tz=True)]


class Rota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contacts who take turns: the first from `begins_on` at `hand_over_at`, local time, for `every_days` days."""

    name: Name
    time_zone: str
    contacts: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=100)]
    begins_on: date
    hand_over_at: LocalTime = EIGHT
    every_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 7
    stand_ins: tuple[StandIn, ...] = ()


def on_call(rota: Rota, zones: Zones, at: datetime) -> str:
    """The contact who is on call at `at`, aware; the first one also before the rota begins."""
    for stand_in in reversed(rota.stand_ins):  # the newest word counts
        if stand_in.from_at <= at < stand_in.until:
            return stand_in.contact
    return rota.contacts[max(_turn(rota, zones, at), 0) % len(rota.contacts)]


def next_hand_over(rota: Rota, zones: Zones, at: datetime) -> datetime:
    """The next instant after `at` at which somebody else may be on call."""
    zone = zones[rota.time_zone]
    following = rota.begins_on + timedelta(days=(max(_turn(rota, zones, at), -1) + 1) * rota.every_days)
    instants = [instant(following, rota.hand_over_at, zone)]
    for stand_in in rota.stand_ins:
        instants += [edge.astimezone(UTC) for edge in (stand_in.from_at, stand_in.until) if edge > at]
    return min(instants)


def instant(day: date, local: time, zone: tzinfo) -> datetime:
    """When a local time comes; of two, the first."""
    return datetime.combine(day, local, tzinfo=zone).astimezone(UTC)


def rota_problems(rota: Rota, contacts: Mapping[str, object], zones: Zones) -> list[tuple[str, str]]:
    """What is wrong with it beside its form, as (field, what)."""
    problems = []
    if rota.time_zone not in zones:
        problems.append(("time_zone", f"{rota.time_zone!r} is not a known IANA time zone"))
    named = [("contacts", name) for name in rota.contacts]
    named += [("stand_ins", stand_in.contact) for stand_in in rota.stand_ins]
    problems += [(place, f"there is no contact {name!r}") for place, name in named if name not in contacts]
    problems += [
        ("stand_ins", f"{stand_in.contact} would stand in until before the beginning")
        for stand_in in rota.stand_ins
        if stand_in.until <= stand_in.from_at
    ]
    return problems


def _turn(rota: Rota, zones: Zones, at: datetime) -> int:
    """The number of the turn that `at` falls into, from 0; negative before the rota begins."""
    zone = zones[rota.time_zone]
    day = at.astimezone(zone).date()
    if at < instant(day, rota.hand_over_at, zone):
        day -= timedelta(days=1)
    return (day - rota.begins_on).days // rota.every_days
