"""A site falls silent as one: which moment explains it, against how many pumps, and when it is over."""

import numpy as np
import pytest

from service.core.change import Change, Priority, Turn
from service.core.rulebook import DEFAULT_RULEBOOK, Rulebook, parse_rulebook
from service.core.site import Outage, SitePumps, cut_of, may_be_the_site, site_turn

NOW = 1_795_348_800_000
MINUTE, HOUR = 60_000, 3_600_000


def pumps(*heard_minutes_ago: float, interval_s: float = 60.0) -> SitePumps:
    heard_ms = NOW - (np.array(heard_minutes_ago) * MINUTE).astype(np.int64)
    interval_ms = np.full(len(heard_ms), int(interval_s * 1000))
    return SitePumps(heard_ms, interval_ms, NOW - heard_ms > 3 * interval_ms)


def turn(
    site: SitePumps, outage: Outage | None = None, ended_ms: int | None = None, now_ms: int = NOW
) -> Change | None:
    return site_turn("north", site, outage, ended_ms, DEFAULT_RULEBOOK, now_ms)


def test_most_of_a_site_cut_off_at_one_moment_is_its_silence() -> None:
    found = turn(pumps(*[5, 5.2, 5.4, 5.6, 5.8, 6, 6.2, 6.4], *[0.1, 0.5]))
    assert found is not None
    assert (found.turn, found.subject, found.began_ms) == (Turn.BEGAN, "site:north", NOW - 5 * MINUTE)
    assert found.evidence == {"silent": 8, "pumps": 10}


@pytest.mark.parametrize(
    "heard",
    [
        [5] * 4,  # too few
        [5] * 7 + [0.5] * 3,  # too small a share
        [5, 15, 25, 35, 45, 55],  # one after the other
    ],
)
def test_what_one_cut_does_not_explain_is_no_silence_of_the_site(heard: list[float]) -> None:
    assert turn(pumps(*heard)) is None


def test_pumps_that_were_silent_long_before_count_neither_way() -> None:
    found = turn(pumps(*[5] * 5, *range(6000, 6100, 5)))
    assert found is not None
    assert found.evidence == {"silent": 5, "pumps": 5}


def test_pumps_that_report_at_different_paces_are_explained_by_one_cut() -> None:
    heard_ms = NOW - np.array([*range(185, 240, 10), *[181] * 6]) * MINUTE
    interval_ms = np.array([HOUR] * 6 + [MINUTE] * 6)
    site = SitePumps(heard_ms, interval_ms, NOW - heard_ms > 3 * interval_ms)
    cut = cut_of(site, DEFAULT_RULEBOOK)
    assert cut is not None
    assert (cut.at_ms, cut.fell.all(), cut.of) == (NOW - 181 * MINUTE, True, 12)


def test_it_ends_when_most_are_heard_again() -> None:
    outage = Outage(NOW - HOUR, Priority.MEDIUM)
    assert turn(pumps(*[60] * 5, *[0.1] * 5), outage) is None
    over = turn(pumps(*[60] * 4, *[0.1] * 6), outage)
    assert over is not None
    assert over.turn is Turn.ENDED


def test_it_gets_more_urgent_and_a_site_without_pumps_in_service_is_not_silent() -> None:
    outage = Outage(NOW - 13 * HOUR, Priority.MEDIUM)
    worse = turn(pumps(*[13 * 60] * 10), outage)
    assert worse is not None
    assert (worse.turn, worse.step) == (Turn.ROSE, 2)
    assert turn(pumps(*[13 * 60] * 10), outage._replace(priority=Priority.HIGH)) is None
    gone = turn(pumps(), outage)
    assert gone is not None
    assert gone.turn is Turn.ENDED


def test_having_ended_it_does_not_begin_again_at_once() -> None:
    assert turn(pumps(*[5] * 9), ended_ms=NOW - 9 * MINUTE) is None
    assert turn(pumps(*[5] * 9), ended_ms=NOW - 10 * MINUTE) is not None


def test_a_pump_of_a_small_site_waits_for_nobody() -> None:
    assert [may_be_the_site(count, 60.0, DEFAULT_RULEBOOK) for count in (1, 4, 5)] == [0, 0, 120]


def test_a_site_may_have_limits_of_its_own() -> None:
    rulebook = parse_rulebook(
        "[site.north.site_silence]\nat_least = 3\nwindow_intervals = 4\n"
        "reason = 'a small ward'\nauthor = 'jd'\nexpires = 2090-01-01"
    )
    assert isinstance(rulebook, Rulebook)
    found = {site: site_turn(site, pumps(5, 5, 5), None, None, rulebook, NOW) for site in ("north", "south")}
    assert found["north"] is not None
    assert found["south"] is None
    assert [may_be_the_site(3, 60.0, rulebook, site) for site in ("north", "south")] == [240, 0]
