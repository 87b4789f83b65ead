"""Is a pump silent, and how long has it been? Decided from when it was last heard, at a given time.

For all that is decided outside the fold at once, over a stream with its own clock: core/watch.py.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import EPOCH
from service.core.reading import DrugClass
from service.core.rulebook import Rulebook

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """What is stored of one pump. `silent_since` and `priority` are those of its active alert for silence, if any."""

    pump: int
    heard_at: datetime  # our time of its last message, or of its enrolment if there was none
    position: int  # names the episode: the last one heard, or the next that no alert has
    interval_s: float
    drug_class: DrugClass
    program_ml_d: float | None
    silent_since: datetime | None = None
    priority: Priority | None = None
    ended_at: datetime | None = None  # when its last silence ended
    hold_s: float = 0.0  # while this may yet turn out to be its whole site
    inhibited_by: UUID | None = None  # its site's alert
    site: str | None = None
    pump_id: str = ""


def turn_of(heard: Heard, rulebook: Rulebook, now: datetime) -> Change | None:
    """Return the turn of the pump's silence, or None if it is as it was.

    A message of the very millisecond at which the limit is reached is in time.
    """
    if heard.silent_since is not None and heard.heard_at > heard.silent_since:
        return _turn(heard, Turn.ENDED, 1, heard.silent_since, now)
    silent_s = (now - heard.heard_at).total_seconds()
    step = _step(silent_s, heard, rulebook)
    drug_class, site, pump_id = heard.drug_class, heard.site, heard.pump_id
    if heard.silent_since is None:
        after_s = rulebook.silence_after_s(heard.interval_s, drug_class, site=site, pump_id=pump_id)
        again_after_s = rulebook.limit(Condition.SILENCE, "again_after_s", drug_class, site=site, pump_id=pump_id)
        if silent_s <= after_s or too_soon(heard.ended_at, again_after_s, now):
            return None
        return _turn(heard, Turn.BEGAN, step, heard.heard_at, now)
    priority = rulebook.priority(Condition.SILENCE, drug_class, step, site=site, pump_id=pump_id)
    if heard.priority is None or priority.rank <= heard.priority.rank:
        return None
    return _turn(heard, Turn.ROSE, step, heard.silent_since, now)


def too_soon(ended_at: datetime | None, again_after_s: float, now: datetime) -> bool:
    """Whether silence has ended too lately to begin again: a pump that trembles on its limit is not told of always."""
    if ended_at is None:
        return False
    return (now - ended_at).total_seconds() < again_after_s


def _step(silent_s: float, heard: Heard, rulebook: Rulebook) -> int:
    medium_s, high_s = (
        rulebook.limit(Condition.SILENCE, name, heard.drug_class, site=heard.site, pump_id=heard.pump_id)
        for name in ("medium_after_s", "high_after_s")
    )
    return 3 if silent_s > high_s else 2 if silent_s > medium_s else 1


def _turn(heard: Heard, turn: Turn, step: int, since: datetime, now: datetime) -> Change:
    evidence: dict[str, float | int | str] = {"interval_s": heard.interval_s}
    if heard.program_ml_d is not None:
        evidence["program_ml_d"] = heard.program_ml_d
    now_ms = (now - EPOCH) // _MILLISECOND
    return Change(
        pump=heard.pump,
        condition=Condition.SILENCE,
        turn=turn,
        step=step,
        position=heard.position,
        at_ms=now_ms,
        began_ms=(since - EPOCH) // _MILLISECOND,
        received_ms=now_ms,
        evidence=evidence,
        hold_s=heard.hold_s if turn is Turn.BEGAN and step == 1 else 0.0,
        inhibited_by=heard.inhibited_by,
    )
