"""What is known of each condition of a pump, now? The stored verdicts, less what silence and missing sensors hide."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from service.core.change import NOT_OF_A_PUMP, Condition
from service.core.observability import SEEN, is_available


class Verdict(StrEnum):
    HOLDS = "holds"
    DOES_NOT_HOLD = "does_not_hold"
    UNKNOWN = "unknown"
    NOT_AVAILABLE = "not_available"  # no channel of this pump could ever show it


class Known(NamedTuple):
    """A verdict, and since when where that is known."""

    verdict: Verdict
    since: datetime | None = None


def is_heard(last_heard_at: datetime | None, silence_after_s: float, now: datetime) -> bool:
    """Whether a pump was heard no longer ago than its rules allow."""
    return last_heard_at is not None and (now - last_heard_at).total_seconds() <= silence_after_s


def verdicts_of(
    written: Mapping[str, Known],
    *,
    flow_channel: str,
    reservoir_channel: str,
    bolus_cap: bool,
    programmed: bool,
    registered: bool,
    silent_since: datetime | None,
    heard: bool,
) -> dict[Condition, Known]:
    """Return what is known of every condition.

    `written` holds the verdicts that were stored when they changed; a condition without one has never held.
    `bolus_cap`: whether the registry says what boluses may add. `programmed`: whether the pump was told to deliver
    when it was last heard; while it is not, nothing that its flow would show is known, and what holds goes on.
    `silent_since` is the onset of an active silence alert. A pump that is not `heard` (`is_heard`) is not known to be
    well, whether or not its silence has been judged yet (it is not while we are not caught up ourselves).
    """
    known = heard and silent_since is None
    found: dict[Condition, Known] = {}
    for condition in Condition:
        if condition in NOT_OF_A_PUMP:
            continue
        if condition is Condition.UNREGISTERED:
            found[condition] = Known(Verdict.DOES_NOT_HOLD if registered else Verdict.HOLDS)
        elif condition is Condition.SILENCE:
            found[condition] = _silence(silent_since, heard=heard)
        elif not is_available(
            condition, flow_channel=flow_channel, reservoir_channel=reservoir_channel, bolus_cap=bolus_cap
        ):
            found[condition] = Known(Verdict.NOT_AVAILABLE)
        elif not known:
            found[condition] = Known(Verdict.UNKNOWN, silent_since)
        else:
            known_of = written.get(condition, Known(Verdict.DOES_NOT_HOLD))
            shown = programmed or condition not in SEEN or not SEEN[condition].while_programmed
            found[condition] = known_of if shown or known_of.verdict is Verdict.HOLDS else Known(Verdict.UNKNOWN)
    return found


def _silence(silent_since: datetime | None, *, heard: bool) -> Known:
    if silent_since is not None:
        return Known(Verdict.HOLDS, silent_since)
    return Known(Verdict.DOES_NOT_HOLD if heard else Verdict.UNKNOWN)
