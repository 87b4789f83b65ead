"""What would have been decided outside the fold, over a stream whose own times are the clock?

The same decisions as the watch role's, which takes from the database what is remembered here. For backtests.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from service.core.alert import alert_id
from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import EPOCH
from service.core.override import Whose
from service.core.rulebook import PumpFacts, Rulebook
from service.core.silence import Heard, turn_of
from service.core.site import Outage, SitePumps, may_be_the_site, site_turn
from service.core.technical import ClockSaid, Locked, Losses, clock_turn, lock_turn, loss_turn

NEVER_MS: Final = np.iinfo(np.int64).max
HOUR_MS: Final = 3_600_000
_NO_MS: Final = np.zeros(0, np.int64)


@dataclass(slots=True)
class _Pump:
    """What is remembered of one pump besides when it was heard."""

    key: int
    facts: PumpFacts
    whose: Whose
    since_ms: int | None = None  # silent since, while that holds
    silence: Change | None = None  # the newest turn of a silence that holds
    ended_ms: int | None = None
    stalled: bool = False
    locked_since_ms: int | None = None
    offset_told: bool = False
    losses_told: bool = False
    losses: deque[tuple[int, int, int]] = field(default_factory=deque)  # noticed at, readings, position


@dataclass(slots=True)
class _Site:
    rows: list[int] = field(default_factory=list)
    outage: Outage | None = None
    began: Change | None = None
    ended_ms: int | None = None


class Watch:
    """Silence of pumps and sites, locked telemetry, losses and clocks, by the stream's own time.

    Enter the pumps; then, in the order of the stream: `watch_until(t)` first, `heard` (and `lost`, `clock`, `stalled`)
    with what came at t after it. Every turn is returned once; its `at_ms` is the moment at which it was due (for sites
    and losses that of the call). A pump's silence that may turn out to be its site's is returned only when that is
    known: with `inhibited_by` if it was. Turns of a site have `pump=NO_PUMP` and `subject="site:NAME"`. The caller's
    chain is taken to hear all the time: nothing here asks whether a shard is caught up.
    """

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._pumps: list[_Pump] = []
        self._row_of: dict[int, int] = {}
        self._sites: dict[str, _Site] = {}
        self._heard_ms = _NO_MS
        self._position = _NO_MS
        self._after_ms = _NO_MS  # silent after this
        self._again_ms = _NO_MS  # having ended, not again before this
        self._lock_ms = _NO_MS  # locked after this, where a stall holds
        self._due_ms = _NO_MS  # when the pump's silence turns next, if it is not heard
        self._silent = np.zeros(0, np.bool_)
        self._stalled: set[int] = set()
        self._locked: set[int] = set()
        self._losing: dict[int, int] = {}  # row → when its losses may turn next
        self._held: dict[int, Change] = {}  # row → the beginning of a silence that may be its site's
        self._turned: list[Change] = []

    def enter(
        self, pumps: Iterable[tuple[int, PumpFacts]], now_ms: int, pump_ids: Mapping[int, str] | None = None
    ) -> None:
        """Watch pumps, by the number that turns shall name, as if each had been heard at `now_ms`.

        `pump_ids`, by that number: for the overrides of single pumps.
        """
        for key, facts in pumps:
            row = self._row_of[key] = len(self._pumps)
            whose = Whose(facts.drug_class, facts.site, (pump_ids or {}).get(key, ""))
            self._pumps.append(_Pump(key, facts, whose))
            if facts.site:
                self._sites.setdefault(facts.site, _Site()).rows.append(row)
        new = self._pumps[len(self._heard_ms) :]
        after_s = [
            self._rulebook.silence_after_s(
                pump.facts.interval_s, pump.whose.drug_class, site=pump.whose.site, pump_id=pump.whose.pump_id
            )
            for pump in new
        ]
        self._again_ms = np.r_[self._again_ms, self._limits_ms(Condition.SILENCE, "again_after_s", new)]
        self._lock_ms = np.r_[self._lock_ms, self._limits_ms(Condition.TELEMETRY_LOCK, "after_s", new)]
        self._after_ms = np.r_[self._after_ms, (np.array(after_s) * 1000).astype(np.int64)]
        self._heard_ms = np.r_[self._heard_ms, np.full(len(new), now_ms)]
        self._position = np.r_[self._position, np.zeros(len(new), np.int64)]
        self._silent = np.r_[self._silent, np.zeros(len(new), np.bool_)]
        self._due_ms = self._heard_ms + self._after_ms + 1

    def heard(self, keys: Iterable[int], at_ms: npt.NDArray[np.int64], positions: npt.NDArray[np.int64]) -> None:
        """These pumps were heard, each at its time and with its newest position. A retained `status` does not count."""
        rows = np.array([self._row_of[key] for key in keys], np.intp)
        np.maximum.at(self._heard_ms, rows, at_ms)
        np.maximum.at(self._position, rows, positions)
        for row in np.unique(rows[self._silent[rows]]).tolist():
            self._heard_again(row)
        ended_ms = [self._pumps[row].ended_ms for row in rows.tolist()]
        again_ms = self._again_ms[rows].tolist()
        quiet_until_ms = [0 if ended is None else ended + own for ended, own in zip(ended_ms, again_ms, strict=True)]
        self._due_ms[rows] = np.maximum(self._heard_ms[rows] + self._after_ms[rows] + 1, quiet_until_ms)

    def has_news(self, keys: npt.NDArray[np.int64], at_ms: npt.NDArray[np.int64], until_ms: int) -> bool:
        """Whether anything may turn by `until_ms`, if this is all that was heard (in order of time) until then."""
        if self._silent.any() or self._stalled or self._locked or self._losing or self._held:
            return True
        rows = np.array([self._row_of[key] for key in keys.tolist()], np.intp)
        order = np.argsort(rows, kind="stable")
        rows, at_ms = rows[order], at_ms[order]
        first = np.r_[True, rows[1:] != rows[:-1]] if len(rows) else np.zeros(0, np.bool_)
        before_ms = np.r_[0, at_ms[:-1]] if len(rows) else at_ms
        before_ms = np.where(first, self._heard_ms[rows], before_ms)
        if (at_ms - before_ms > self._after_ms[rows]).any():
            return True
        last_ms = self._heard_ms.copy()
        np.maximum.at(last_ms, rows, at_ms)
        return bool((until_ms - last_ms > self._after_ms).any())

    def stalled(self, key: int, *, stalled: bool) -> None:
        """The fold has found the pump's motor standing (at any step), or moving again."""
        row = self._row_of[key]
        self._pumps[row].stalled = stalled
        (self._stalled.add if stalled else self._stalled.discard)(row)

    def lost(self, key: int, readings: int, at_ms: int, position: int) -> None:
        """Readings will never come; the newest of them is `position`."""
        row = self._row_of[key]
        self._pumps[row].losses.append((at_ms, readings, position))
        self._losing[row] = at_ms

    def clock(self, key: int, offset_ms: int, at_ms: int, position: int) -> None:
        """An offset of the pump's clock was stored."""
        pump = self._pumps[self._row_of[key]]
        turn = clock_turn(ClockSaid(key, offset_ms, position, pump.offset_told), at_ms)
        if turn is not None:
            pump.offset_told = turn.turn is Turn.BEGAN
            self._turned.append(turn)

    def watch_until(self, now_ms: int) -> list[Change]:
        """Every turn that is due by `now_ms` and was not returned before, in the order in which they were due."""
        touched: set[str] = set()
        for row in np.flatnonzero(self._due_ms <= now_ms)[np.argsort(self._due_ms[self._due_ms <= now_ms])].tolist():
            while self._due_ms[row] <= now_ms:
                self._judge_silence(row, int(self._due_ms[row]))
            touched.add(self._pumps[row].facts.site)
        for name, site in self._sites.items():
            if name in touched or site.outage is not None:
                self._judge_site(name, site, now_ms)
        for row in [row for row, turn in self._held.items() if turn.at_ms + turn.hold_s * 1000 <= now_ms]:
            self._turned.append(self._held.pop(row))
        stalled = np.array(list(self._stalled), np.intp)
        overdue = stalled[self._heard_ms[stalled] + self._lock_ms[stalled] < now_ms].tolist()
        for row in sorted({*overdue, *self._locked}):
            self._judge_lock(row, now_ms)
        for row in sorted(row for row, due_ms in self._losing.items() if due_ms <= now_ms):
            self._judge_losses(row, now_ms)
        turned, self._turned = self._turned, []
        return sorted(turned, key=lambda turn: turn.at_ms)

    def _judge_silence(self, row: int, at_ms: int) -> None:
        pump, site = self._pumps[row], self._sites.get(self._pumps[row].facts.site)
        facts = pump.facts
        turn = turn_of(
            Heard(
                pump=pump.key,
                heard_at=_instant(int(self._heard_ms[row])),
                position=int(self._position[row]),
                interval_s=facts.interval_s,
                drug_class=facts.drug_class,
                program_ml_d=None,
                silent_since=None if pump.since_ms is None else _instant(pump.since_ms),
                priority=None if pump.silence is None else self._priority(pump, pump.silence),
                ended_at=None if pump.ended_ms is None else _instant(pump.ended_ms),
                hold_s=may_be_the_site(len(site.rows), facts.interval_s, self._rulebook, facts.site) if site else 0.0,
                inhibited_by=_inhibitor(site),
                site=facts.site,
                pump_id=pump.whose.pump_id,
            ),
            self._rulebook,
            _instant(at_ms),
        )
        self._due_ms[row] = self._next_ms(row, at_ms)
        if turn is None:
            return
        pump.silence = turn
        if turn.turn is Turn.BEGAN:
            pump.since_ms = int(self._heard_ms[row])
            self._silent[row] = True
            if turn.hold_s and turn.inhibited_by is None:
                self._held[row] = turn
                return
        self._turned.append(turn)

    def _next_ms(self, row: int, at_ms: int) -> int:
        """When a pump that is silent may be more urgent next."""
        steps_s = [self._rulebook.limit_of(Condition.SILENCE, name, self._pumps[row].whose) for name in _STEPS]
        due_ms = (int(self._heard_ms[row]) + round(step_s * 1000) + 1 for step_s in steps_s)
        return min((due for due in due_ms if due > at_ms), default=NEVER_MS)

    def _heard_again(self, row: int) -> None:
        pump, at_ms = self._pumps[row], int(self._heard_ms[row])
        if pump.since_ms is None or at_ms <= pump.since_ms or pump.silence is None:
            return
        held = self._held.pop(row, None)
        over = replace(pump.silence, turn=Turn.ENDED, step=1, at_ms=at_ms, received_ms=at_ms, hold_s=0.0)
        self._turned += [over] if held is None else [held, over]
        pump.since_ms, pump.silence, pump.ended_ms = None, None, at_ms
        self._silent[row] = False

    def _judge_site(self, name: str, site: _Site, now_ms: int) -> None:
        rows = np.array(site.rows)
        interval_ms = np.array([self._pumps[row].facts.interval_s * 1000 for row in site.rows], np.int64)
        pumps = SitePumps(self._heard_ms[rows], interval_ms, self._silent[rows])
        turn = site_turn(name, pumps, site.outage, site.ended_ms, self._rulebook, now_ms)
        if turn is None:
            return
        self._turned.append(turn)
        if turn.turn is Turn.ENDED:
            site.outage, site.began, site.ended_ms = None, None, now_ms
            return
        facts = self._pumps[site.rows[0]].facts
        site.outage = Outage(
            turn.began_ms, self._rulebook.priority(Condition.SITE_SILENCE, facts.drug_class, turn.step, site=name)
        )
        if turn.turn is Turn.BEGAN:
            site.began = turn
            for row in [row for row in site.rows if row in self._held]:
                self._turned.append(replace(self._held.pop(row), inhibited_by=_inhibitor(site)))

    def _judge_lock(self, row: int, now_ms: int) -> None:
        pump, heard_ms = self._pumps[row], int(self._heard_ms[row])
        due_ms = heard_ms + int(self._lock_ms[row]) + 1
        locked = Locked(
            pump.key, heard_ms, int(self._position[row]), pump.stalled, "", pump.locked_since_ms, pump.whose
        )
        turn = lock_turn(locked, self._rulebook, heard_ms if pump.locked_since_ms is not None else min(due_ms, now_ms))
        if turn is not None:
            pump.locked_since_ms = heard_ms if turn.turn is Turn.BEGAN else None
            (self._locked.add if turn.turn is Turn.BEGAN else self._locked.discard)(row)
            self._turned.append(turn)

    def _limits_ms(self, condition: Condition, name: str, pumps: Iterable[_Pump]) -> npt.NDArray[np.int64]:
        limits_s = [self._rulebook.limit_of(condition, name, pump.whose) for pump in pumps]
        return (np.array(limits_s) * 1000).astype(np.int64)

    def _judge_losses(self, row: int, now_ms: int) -> None:
        pump = self._pumps[row]
        within_ms = self._rulebook.limit_of(Condition.SEQUENCE_GAP, "within_h", pump.whose) * HOUR_MS
        newest_ms, _, position = pump.losses[-1]
        recent = [loss for loss in pump.losses if loss[0] > now_ms - within_ms]
        first_ms = recent[0][0] if recent else newest_ms
        lost = sum(readings for _, readings, _ in recent)
        losses = Losses(pump.key, lost, first_ms, newest_ms, position, pump.losses_told, pump.whose)
        turn = loss_turn(losses, self._rulebook, now_ms)
        if turn is not None:
            pump.losses_told = turn.turn is Turn.BEGAN
            self._turned.append(turn)
        if not recent and not pump.losses_told:
            pump.losses.clear()
            del self._losing[row]
        elif recent:
            self._losing[row] = recent[0][0] + int(within_ms)

    def _priority(self, pump: _Pump, turn: Change) -> Priority:
        ladder = self._rulebook.ladder(turn.condition, pump.whose)
        return ladder[min(turn.step, len(ladder)) - 1]


_STEPS: Final = ("medium_after_s", "high_after_s")


def _inhibitor(site: _Site | None) -> UUID | None:
    """The id that the site's alert has."""
    if site is None or site.began is None:
        return None
    return alert_id(site.began.subject, site.began.condition, site.began.position)


def _instant(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)
