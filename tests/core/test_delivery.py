"""When a notification is tried again, and when it is given up."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.change import Priority
from service.core.delivery import (
    LONGEST_ASKED_WAIT_S,
    WAITS_S,
    Attempt,
    Outcome,
    asked_wait_s,
    attempt_deadline_s,
    lease_s,
    outcome_of,
    patience_s,
    pause_after,
    wait_after,
)

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
FAILURES = [outcome for outcome in Outcome if outcome not in {Outcome.DELIVERED, Outcome.GONE}]


def wait_s(
    priority: Priority,
    attempts_made: int,
    outcome: Outcome = Outcome.SERVER_ERROR,
    *,
    kind: str = "activated",
    asked_s: float | None = None,
    jitter: float = 0.0,
) -> float | None:
    attempt = Attempt(outcome, 500, 1.0, retry_after_s=asked_s)
    return wait_after(priority, kind, attempts_made, attempt, jitter=jitter)


def test_a_page_is_tried_again_at_once_then_after_two_seconds_then_ever_more_slowly() -> None:
    assert [wait_s(Priority.HIGH, made) for made in range(1, 10)] == [0, 2, 5, 10, 20, 30, 60, 60, 60]


def test_a_page_is_tried_at_least_every_minute_for_a_quarter_of_an_hour() -> None:
    offsets_s = list(accumulate(WAITS_S[Priority.HIGH]))
    early_s = [offset_s for offset_s in offsets_s if offset_s <= 16 * 60]
    assert early_s[-1] >= 15 * 60
    assert max(later - earlier for earlier, later in pairwise(early_s)) <= 60


@pytest.mark.parametrize("priority", Priority)
def test_every_priority_is_tried_for_three_days_and_then_given_up(priority: Priority) -> None:
    attempts = len(WAITS_S[priority])
    assert 75 * 3600 <= sum(WAITS_S[priority]) <= 77 * 3600
    assert wait_s(priority, attempts) == 24 * 3600
    assert wait_s(priority, attempts + 1) is None


def test_the_less_urgent_waits_longer() -> None:
    for made in range(1, 9):
        high, medium, low = (sum(WAITS_S[priority][:made]) for priority in Priority)
        assert high < medium <= low


def test_what_asks_nothing_of_anybody_does_not_hurry() -> None:
    assert wait_s(Priority.HIGH, 1, kind="resolved") == wait_s(Priority.MEDIUM, 1)
    assert wait_s(Priority.HIGH, 1, kind="acknowledged") == wait_s(Priority.MEDIUM, 1)
    assert wait_s(Priority.HIGH, 1, kind="priority_rose") == 0


@pytest.mark.parametrize("outcome", FAILURES)
def test_every_failure_but_gone_is_tried_again(outcome: Outcome) -> None:
    assert wait_s(Priority.MEDIUM, 1, outcome) is not None


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.GONE])
def test_delivered_and_gone_are_final(outcome: Outcome) -> None:
    assert wait_s(Priority.HIGH, 1, outcome) is None


def test_an_endpoint_is_not_asked_again_before_it_wants_to_be() -> None:
    assert wait_s(Priority.HIGH, 1, Outcome.THROTTLED, asked_s=7) == 7
    assert wait_s(Priority.HIGH, 1, Outcome.SERVER_ERROR, asked_s=7) == 7
    assert wait_s(Priority.HIGH, 1, Outcome.THROTTLED) == 2


@pytest.mark.parametrize("priority", Priority)
def test_no_endpoint_can_put_off_a_notification_for_a_day(priority: Priority) -> None:
    assert wait_s(priority, 1, Outcome.THROTTLED, asked_s=86400) == LONGEST_ASKED_WAIT_S[priority]
    assert LONGEST_ASKED_WAIT_S[Priority.HIGH] <= 60


@given(made=st.integers(1, 40), asked_s=st.none() | st.floats(0, 1e9), jitter=st.floats(0, 1))
def test_jitter_only_ever_adds_up_to_a_tenth(made: int, asked_s: float | None, jitter: float) -> None:
    plain = wait_s(Priority.HIGH, made, asked_s=asked_s)
    jittered = wait_s(Priority.HIGH, made, asked_s=asked_s, jitter=jitter)
    assert (plain is None) == (jittered is None)
    if plain is not None and jittered is not None:
        assert plain <= jittered <= plain * 1.1 + 1e-5


@pytest.mark.parametrize("priority", Priority)
def test_an_attempt_begun_in_the_first_half_of_a_lease_ends_within_it(priority: Priority) -> None:
    assert attempt_deadline_s(priority) == (4 if priority is Priority.HIGH else 15)
    assert lease_s(attempt_deadline_s(priority)) == 2 * attempt_deadline_s(priority)
    assert attempt_deadline_s(priority, 7.5) == 7.5


@pytest.mark.parametrize("priority", Priority)
def test_what_no_attempt_could_be_made_for_is_given_up_when_its_waits_would_be_over(priority: Priority) -> None:
    assert sum(WAITS_S[priority]) <= patience_s(priority) <= 1.2 * sum(WAITS_S[priority])


def test_an_endpoint_that_keeps_failing_is_left_alone_ever_longer_but_a_page_still_knocks() -> None:
    failed = Attempt(Outcome.TIMED_OUT, None, 1.0)
    pauses = [pause_after(failures, failed) for failures in range(1, 30)]
    assert [pause.reports_s for pause in pauses[:7]] == [0, 0, 0, 0, 5, 10, 20]
    assert max(pause.reports_s for pause in pauses) == 300
    assert {pause.pages_s for pause in pauses} == {0, 5}


def test_an_endpoint_that_says_how_long_to_wait_means_everything_that_is_for_it() -> None:
    asked = pause_after(1, Attempt(Outcome.THROTTLED, 429, 1.0, retry_after_s=90))
    assert (asked.pages_s, asked.reports_s) == (60, 90)
    assert pause_after(1, Attempt(Outcome.THROTTLED, 429, 1.0, retry_after_s=1e9)).reports_s == 300
    assert pause_after(1, Attempt(Outcome.SERVER_ERROR, 503, 1.0, retry_after_s=90)).reports_s == 0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (301, Outcome.REDIRECTED),
        (304, Outcome.REDIRECTED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (408, Outcome.REFUSED),
        (410, Outcome.GONE),
        (425, Outcome.REFUSED),
        (429, Outcome.THROTTLED),
        (500, Outcome.SERVER_ERROR),
        (599, Outcome.SERVER_ERROR),
        (999, Outcome.SERVER_ERROR),
    ],
)
def test_only_2xx_delivers(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


def test_retry_after_is_seconds_or_a_date() -> None:
    assert asked_wait_s(" 120 ", NOW) == 120
    assert asked_wait_s(format_datetime(NOW + timedelta(seconds=90), usegmt=True), NOW) == 90
    assert asked_wait_s(format_datetime(NOW - timedelta(seconds=90), usegmt=True), NOW) == 0
    assert asked_wait_s("soon", NOW) is None


@given(text=st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,4} Nov [0-9]{1,9} [0-9]{2}:[0-9]{2}:[0-9]{2}.*"))
def test_no_retry_after_can_do_harm(text: str) -> None:
    asked_s = asked_wait_s(text, NOW)
    assert asked_s is None or asked_s >= 0
