"""Which parts of our own way from a pump to a person are broken? What is, and was not told of, begins; what is no
longer ends. Nothing is remembered in between.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from service.core.change import Change, Condition, Turn
from service.core.lifecycle import EPOCH
from service.core.subject import NO_PUMP, service_subject

JUDGED: Final = frozenset(
    {
        Condition.STORAGE_UNAVAILABLE,
        Condition.BROKER_UNAVAILABLE,
        Condition.BROKER_DROPPING,
        Condition.BROKER_DEGRADED,
        Condition.INGEST_LAGGING,
        Condition.ROLE_SILENT,
        Condition.DELIVERY_GIVEN_UP,
        Condition.ENDPOINT_FAILING,
        Condition.ENDPOINT_DISABLED,
        Condition.CANARY_LOST,
    }
)
"""What begins and ends here, and nowhere else."""

Told = Collection[tuple[str, Condition]]
"""Subject and condition of every active alert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One part that is broken now."""

    condition: Condition
    part: str  # of the service: shard-0, deliver, endpoint-clinic
    since: datetime
    evidence: dict[str, float | int | str] = field(default_factory=dict)
    hold_s: float = 0.0  # told if it is still so then
    by_since: bool = False  # `since` names the episode, so that whoever else tells of it names the same alert

    @property
    def subject(self) -> str:
        return service_subject(self.part)


class Seen(NamedTuple):
    """What a look at the database shows."""

    links: Sequence[tuple[str, str]]  # every link that is broken, and why: what /ready says
    beyond_delivery: Sequence[Broken]  # what cannot be told in the usual way, although the database answers


def turns(broken: Iterable[Broken], told: Told, now: datetime) -> list[Change]:
    """What begins, then what ends. `told` may hold other conditions: they are left alone."""
    now_ms = _ms(now)
    by_key = {(each.subject, each.condition): each for each in broken}
    began = [began_of(each, now_ms) for key, each in by_key.items() if key not in told]
    over = sorted(key for key in set(told) - by_key.keys() if key[1] in JUDGED)
    return [*began, *(ended_of(subject, condition, now_ms) for subject, condition in over)]


def began_of(broken: Broken, now_ms: int) -> Change:
    since_ms = _ms(broken.since)
    return Change(
        pump=NO_PUMP,
        condition=broken.condition,
        turn=Turn.BEGAN,
        step=1,
        position=since_ms if broken.by_since else now_ms,
        at_ms=now_ms,
        began_ms=since_ms,
        received_ms=now_ms,
        evidence=broken.evidence,
        subject=broken.subject,
        hold_s=broken.hold_s,
    )


def ended_of(subject: str, condition: Condition, now_ms: int) -> Change:
    return Change(
        pump=NO_PUMP,
        condition=condition,
        turn=Turn.ENDED,
        step=1,
        position=now_ms,
        at_ms=now_ms,
        began_ms=now_ms,
        received_ms=now_ms,
        subject=subject,
    )


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)
