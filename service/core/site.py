"""Has a whole site fallen silent, and is it heard again? Decided from when each of its pumps was last heard.

Pumps fell silent together if one moment explains all of them: a pump last heard at h can have been cut off at any time
from h to a few of its intervals later. Pumps that were silent long before count neither for nor against the site.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.core.change import Change, Condition, Priority, Turn
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook
from service.core.subject import NO_PUMP, site_subject

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SitePumps:
    """The pumps of a site that are in service, a value a pump."""

    heard_ms: Times  # our time of the last message, or of the enrolment
    interval_ms: Times
    silent: npt.NDArray[np.bool_]  # its own limit has passed


class Outage(NamedTuple):
    """The site's active alert: when it was cut off, and how urgent that is by now."""

    began_ms: int
    priority: Priority


class Cut(NamedTuple):
    """The latest moment that explains enough silent pumps; which they are, and of how many."""

    at_ms: int
    fell: npt.NDArray[np.bool_]
    of: int


def cut_of(pumps: SitePumps, rulebook: Rulebook, site: str = "") -> Cut | None:
    """None where no single moment explains enough of the silence.

    A pump that was heard after a moment was not cut off then; one that was not, and is not silent yet, says nothing.
    """
    until_ms = _cut_off_until(pumps, rulebook, site)
    candidates = np.unique(pumps.heard_ms[pumps.silent])
    fell = np.searchsorted(np.sort(pumps.heard_ms[pumps.silent]), candidates, "right")
    fell -= np.searchsorted(np.sort(until_ms[pumps.silent]), candidates, "left")
    of = fell + len(pumps.heard_ms) - np.searchsorted(np.sort(pumps.heard_ms), candidates, "right")
    enough = np.flatnonzero(
        (fell >= rulebook.limit(Condition.SITE_SILENCE, "at_least", site=site))
        & (fell >= rulebook.limit(Condition.SITE_SILENCE, "share", site=site) * of)
    )
    if not len(enough):
        return None
    at_ms = int(candidates[enough[-1]])
    explained = pumps.silent & (pumps.heard_ms <= at_ms) & (at_ms <= until_ms)
    return Cut(at_ms, explained, int(of[enough[-1]]))


def site_turn(
    site: str, pumps: SitePumps, outage: Outage | None, ended_ms: int | None, rulebook: Rulebook, now_ms: int
) -> Change | None:
    """Return the turn of the site's silence, or None if it is as it was.

    `outage`: its active alert, if any; `ended_ms`: when the last one ended.
    """
    if outage is None:
        again_after_s = rulebook.limit(Condition.SILENCE, "again_after_s", site=site)
        if ended_ms is not None and now_ms - ended_ms < again_after_s * 1000:
            return None
        cut = cut_of(pumps, rulebook, site)
        if cut is None:
            return None
        step = _step(now_ms - cut.at_ms, rulebook, site)
        counted = {"silent": int(cut.fell.sum()), "pumps": cut.of}
        return _turn(site, Turn.BEGAN, step, cut.at_ms, counted, now_ms)
    again = int((pumps.heard_ms > outage.began_ms).sum())
    cut_off = (pumps.heard_ms <= outage.began_ms) & (outage.began_ms <= _cut_off_until(pumps, rulebook, site))
    members = again + int(cut_off.sum())
    if again > rulebook.limit(Condition.SITE_SILENCE, "heard_share", site=site) * members or not members:
        return _turn(site, Turn.ENDED, 1, outage.began_ms, {"heard": again, "pumps": members}, now_ms)
    step = _step(now_ms - outage.began_ms, rulebook, site)
    priority = rulebook.priority(Condition.SITE_SILENCE, DrugClass.UNKNOWN, step, site=site)
    if priority.rank <= outage.priority.rank:
        return None
    return _turn(site, Turn.ROSE, step, outage.began_ms, {"silent": int(cut_off.sum()), "pumps": members}, now_ms)


def may_be_the_site(pumps_in_service: int, interval_s: float, rulebook: Rulebook, site: str = "") -> float:
    """For how many seconds a pump's silence is not told of yet, since it may turn out to be its whole site's."""
    if pumps_in_service < rulebook.limit(Condition.SITE_SILENCE, "at_least", site=site):
        return 0.0
    return interval_s * rulebook.limit(Condition.SITE_SILENCE, "window_intervals", site=site)


def _cut_off_until(pumps: SitePumps, rulebook: Rulebook, site: str) -> Times:
    window = rulebook.limit(Condition.SITE_SILENCE, "window_intervals", site=site)
    return pumps.heard_ms + (pumps.interval_ms * window).astype(np.int64)


def _step(silent_ms: int, rulebook: Rulebook, site: str) -> int:
    return 2 if silent_ms > rulebook.limit(Condition.SITE_SILENCE, "high_after_s", site=site) * 1000 else 1


def _turn(site: str, turn: Turn, step: int, since_ms: int, counted: Mapping[str, int], now_ms: int) -> Change:
    return Change(
        pump=NO_PUMP,
        condition=Condition.SITE_SILENCE,
        turn=turn,
        step=step,
        position=now_ms,
        at_ms=now_ms,
        began_ms=since_ms,
        received_ms=now_ms,
        evidence=dict(counted),
        subject=site_subject(site),
    )
