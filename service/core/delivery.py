"""What did an attempt come to, and when is the notification tried again? When is its endpoint left alone?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from service.core.change import Priority


class Outcome(StrEnum):
    """What one attempt came to. The strings are those of the database, the API and the metrics."""

    DELIVERED = "delivered"  # 2xx
    REFUSED = "refused"  # 4xx other than 410 and 429
    GONE = "gone"  # 410: the endpoint wants no more
    THROTTLED = "throttled"  # 429
    REDIRECTED = "redirected"  # 3xx, never followed
    SERVER_ERROR = "server_error"  # 5xx, and what is no status
    TIMED_OUT = "timed_out"
    TLS_ERROR = "tls_error"
    DNS_ERROR = "dns_error"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"  # also: closed without an answer, or an answer that is not HTTP
    UNREACHABLE = "unreachable"  # no route, or another error of the network
    BLOCKED = "blocked"  # an address that may not be sent to
    NOT_SENT = "not_sent"  # our own doing: a secret or an address that cannot be used


ANSWERED: Final = frozenset({Outcome.DELIVERED, Outcome.REFUSED, Outcome.GONE})
"""Outcomes that show that the endpoint is alive, whatever it thinks of this notification."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request and what it came to."""

    outcome: Outcome
    status: int | None
    duration_ms: float
    detail: str = ""
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # of the request, without its signature
    answer: str = ""  # the first 2 KiB of it


_MINUTE_S, _HOUR_S = 60.0, 3600.0

# The tail of the example schedule of Standard Webhooks 1.0: 75.5 h in all.
_TAIL_S = (30 * _MINUTE_S, *(hours * _HOUR_S for hours in (2, 5, 10, 14, 20, 24)))

Waits = Mapping[Priority, Sequence[float]]

WAITS_S: Final[Waits] = {
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
LEAST_PATIENCE_S = 60.0
JITTER = 0.1
"""Waits grow by up to this share, so that notifications that failed together do not return together."""


OPENS_AFTER: Final = 5
"""So many failures in a row, of whatever notifications, open an endpoint's circuit: then it is only probed."""

FIRST_PROBE_S, LONGEST_PROBE_S, PAGE_PROBE_S = 5.0, 300.0, 5.0


@dataclass(frozen=True, slots=True)
class Pause:
    """How long an endpoint is left alone after an attempt: by what is of high priority, and by the rest."""

    pages_s: float
    reports_s: float


def pause_after(failures: int, attempt: Attempt) -> Pause:
    """`failures` in a row of the endpoint, with this one.

    A circuit that is open is probed ever more rarely, but by a page every few seconds: somebody may be waiting for it.
    An endpoint that says how long to wait means all of its notifications.
    """
    asked_s = min(attempt.retry_after_s or 0.0, LONGEST_ASKED_WAIT_S[Priority.MEDIUM])
    if attempt.outcome is not Outcome.THROTTLED:
        asked_s = 0.0
    pages_s, reports_s = min(asked_s, LONGEST_ASKED_WAIT_S[Priority.HIGH]), asked_s
    if failures >= OPENS_AFTER:
        probe_s = min(FIRST_PROBE_S * 2.0 ** min(failures - OPENS_AFTER, 16), LONGEST_PROBE_S)
        pages_s, reports_s = max(pages_s, PAGE_PROBE_S), max(reports_s, probe_s)
    return Pause(pages_s, reports_s)


ASKS_NOTHING: Final = frozenset({"acknowledged", "resolved"})
"""Kinds of notification that ask nothing of anybody: they need not hurry."""


def attempt_deadline_s(priority: Priority, answer_within_s: float | None = None) -> float:
    """How long one request may take, from the name lookup to the status line; an endpoint may want its own."""
    if answer_within_s is not None:
        return answer_within_s
    return 4.0 if priority is Priority.HIGH else 15.0


def lease_s(deadline_s: float) -> float:
    """How long a claimed notification is ours: a request begun in the first half ends within it."""
    return 2 * deadline_s


def patience_s(priority: Priority, waits_s: Waits = WAITS_S, least_s: float = LEAST_PATIENCE_S) -> float:
    """How long after it was made a notification is given up, also if a circuit has kept it from being tried."""
    return max(sum(waits_s[priority]) * (1 + JITTER), least_s)


def outcome_of(status: int) -> Outcome:
    match status:
        case HTTPStatus.GONE:
            return Outcome.GONE
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Outcome.THROTTLED
    hundreds = {2: Outcome.DELIVERED, 3: Outcome.REDIRECTED, 4: Outcome.REFUSED}
    return hundreds.get(status // 100, Outcome.SERVER_ERROR)


def wait_after(
    priority: Priority, kind: str, failures: int, attempt: Attempt, *, jitter: float, waits_s: Waits = WAITS_S
) -> float | None:
    """Seconds until it is tried again, or None: delivered, or given up.

    `failures` counts this attempt too. `jitter` is 0 to 1. A refusal is tried again like a failure, since most
    are mistakes in an endpoint's set-up that somebody is about to mend; only 410 is final.
    """
    if attempt.outcome in {Outcome.DELIVERED, Outcome.GONE}:
        return None
    if priority is Priority.HIGH and kind in ASKS_NOTHING:
        priority = Priority.MEDIUM
    if failures > len(waits_s[priority]):
        return None
    wait_s = waits_s[priority][failures - 1]
    if attempt.outcome is Outcome.THROTTLED:
        wait_s = max(wait_s, SHORTEST_WAIT_THROTTLED_S)
    if attempt.retry_after_s is not None:
        wait_s = max(wait_s, min(attempt.retry_after_s, LONGEST_ASKED_WAIT_S[priority]))
    return wait_s * (1 + JITTER * jitter)


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
