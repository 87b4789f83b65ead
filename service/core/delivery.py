"""What did an attempt come to, and when is the notification tried again?"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus

from service.core.change import Priority


class Outcome(StrEnum):
    """What one attempt came to. The strings are those of the database, the API and the metrics."""

    DELIVERED = "delivered"  # 2xx
    REFUSED = "refused"  # 4xx other than 408, 425, 429 and 410
    GONE = "gone"  # 410: the endpoint wants no more
    THROTTLED = "throttled"  # 429
    FAILED = "failed"  # 5xx, 3xx (never followed), 408, 425
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"  # connection refused or reset, DNS
    TLS_FAILED = "tls_failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request and what it came to."""

    outcome: Outcome
    status: int | None
    duration_ms: float
    detail: str = ""
    retry_after_s: float | None = None


_MINUTE_S, _HOUR_S = 60.0, 3600.0

# The tail of the example schedule of Standard Webhooks 1.0: 75.5 h in all.
_TAIL_S = (30 * _MINUTE_S, *(hours * _HOUR_S for hours in (2, 5, 10, 14, 20, 24)))

WAITS_S: dict[Priority, tuple[float, ...]] = {
    # The standard's schedule waits 5 min before its third request; somebody may be in withdrawal by then.
    # So: at once, then closer than once a minute for 15 min, and only then for the record.
    Priority.HIGH: (0, 2, 5, 10, 20, 30, *[_MINUTE_S] * 14, *_TAIL_S),
    Priority.MEDIUM: (5, 15, _MINUTE_S, 5 * _MINUTE_S, *_TAIL_S),
    Priority.LOW: (5, 5 * _MINUTE_S, *_TAIL_S),
}
"""Seconds from the n-th failure to the next request; after the last of them the notification is given up."""

LONGEST_ASKED_WAIT_S = {Priority.HIGH: _MINUTE_S, Priority.MEDIUM: 5 * _MINUTE_S, Priority.LOW: _HOUR_S}
"""A Retry-After is honoured up to here, so that no endpoint can put off a page for a day."""

SHORTEST_WAIT_THROTTLED_S = 2.0
JITTER = 0.1
"""Waits grow by up to this share, so that notifications that failed together do not return together."""


def attempt_deadline_s(priority: Priority) -> float:
    """How long one request may take, from the name lookup to the status line."""
    return 4.0 if priority is Priority.HIGH else 15.0


def lease_s(priority: Priority) -> float:
    """How long a claimed notification is ours: a request begun in the first half ends within it."""
    return 2 * attempt_deadline_s(priority)


def outcome_of(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    match status:
        case HTTPStatus.GONE:
            return Outcome.GONE
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Outcome.THROTTLED
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_EARLY:
            return Outcome.FAILED
    return Outcome.REFUSED if 400 <= status < 500 else Outcome.FAILED


def after_attempt(
    priority: Priority, kind: str, attempts_made: int, attempt: Attempt, *, now: datetime, jitter: float
) -> datetime | None:
    """When to try again, or None: delivered, or given up.

    `attempts_made` counts this attempt too. `jitter` is 0 to 1. A refusal is tried again like a failure, since most
    are mistakes in an endpoint's set-up that somebody is about to mend; only 410 is final.
    """
    if attempt.outcome in {Outcome.DELIVERED, Outcome.GONE}:
        return None
    if priority is Priority.HIGH and kind in {"acknowledged", "resolved"}:
        priority = Priority.MEDIUM  # it asks nothing of anybody
    waits_s = WAITS_S[priority]
    if attempts_made > len(waits_s):
        return None
    wait_s = waits_s[attempts_made - 1]
    if attempt.outcome is Outcome.THROTTLED:
        wait_s = max(wait_s, SHORTEST_WAIT_THROTTLED_S)
    if attempt.retry_after_s is not None:
        wait_s = max(wait_s, min(attempt.retry_after_s, LONGEST_ASKED_WAIT_S[priority]))
    return now + timedelta(seconds=wait_s * (1 + JITTER * jitter))


def asked_wait_s(retry_after: str, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110 §10.2.3: seconds or a date); None where it is neither."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)
