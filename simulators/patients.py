"""When do patients ask for a bolus, and what does the pump answer? Lockout, daily cap, and what is then delivered."""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from simulators import draws, wire
from simulators.draws import Integers
from simulators.programs import DAY_MS, UL_A_MS_AT_ONE_ML_D, Programs
from simulators.said import Said

HOUR_MS: Final = 3_600_000
AGAIN_SHARE: Final = 0.03  # of wishes are repeated, since relief takes longer than patience
IMPATIENT_SHARE: Final = 0.1  # of those who know that they would be denied ask all the same
AGAIN_AFTER_MS: Final = (10 * 60_000, 50 * 60_000)


class Boluses(NamedTuple):
    """What a patient may ask for, and how often this one does."""

    dose_ul: float
    duration_s: float
    lockout_s: float
    daily_cap_ul: float  # in any 24 hours
    wishes_a_day: float

    @property
    def usual_ml_d(self) -> float:
        return self.dose_ul * self.wishes_a_day / 1000


_PURPOSES: Final = ("wish", "wish at", "again", "again at", "patience")
NO_BOLUSES: Final = Boluses(0.0, 0.0, 0.0, 0.0, 0.0)


class Patients:
    """The patients of many pumps. Those who may ask for nothing never do."""

    def __init__(self, seed: int, numbers: Integers, boluses: Sequence[Boluses]) -> None:
        self._boluses = boluses
        self._asking = np.flatnonzero([each.wishes_a_day > 0 for each in boluses])
        asking = numbers[self._asking]
        self._keys = [draws.keys_of(seed, asking, purpose) for purpose in _PURPOSES]
        self._wishes_an_hour = np.array([boluses[pump].wishes_a_day / 24 for pump in self._asking.tolist()])
        self._given: dict[int, deque[tuple[int, float]]] = {}  # by pump: (from, µL) of the last 24 hours
        self._under_way: dict[int, tuple[int, int, float]] = {}  # by pump: (from, to, µL)

    def ask(self, from_ms: Integers, to_ms: Integers, programs: Programs) -> list[Said]:
        """What is asked, denied and delivered after `from_ms` and up to `to_ms`, [pump]; boluses go into `programs`."""
        said = []
        for at_ms, pump, knows_better in self._wishes(from_ms, to_ms):
            said += self._answer(pump, at_ms, programs, knows_better=knows_better)
        for pump, (begin_ms, end_ms, given_ul) in list(self._under_way.items()):
            if end_ms <= to_ms[pump]:
                del self._under_way[pump]
                said.append(_delivered(pump, begin_ms, end_ms, given_ul))
        return said

    def interrupt(self, pump: int, at_ms: int) -> None:
        """A change of the program ends a bolus under way."""
        if pump in self._under_way:
            begin_ms, end_ms, dose_ul = self._under_way[pump]
            if begin_ms < at_ms < end_ms:
                given_ul = dose_ul * (at_ms - begin_ms) / (end_ms - begin_ms)
                self._under_way[pump] = begin_ms, at_ms, given_ul

    def _wishes(self, from_ms: Integers, to_ms: Integers) -> list[tuple[int, int, bool]]:
        """(when, pump, whether the patient asks only for what will be given) in order of time.

        An hour of a pump has at most one wish, and one that repeats it.
        """
        if not self._asking.size:
            return []
        found: list[tuple[int, int, bool]] = []
        begins, ends = from_ms[self._asking], to_ms[self._asking]
        wish, wish_at, again, again_at, patience = self._keys
        low_ms, high_ms = AGAIN_AFTER_MS
        for hour in range(int(begins.min()) // HOUR_MS - 1, int(ends.max()) // HOUR_MS + 1):
            who = np.flatnonzero(draws.uniform(wish, hour) < self._wishes_an_hour)
            at_ms = hour * HOUR_MS + (draws.uniform(wish_at[who], hour) * HOUR_MS).astype(np.int64)
            later_ms = at_ms + low_ms + (draws.uniform(again_at[who], hour) * (high_ms - low_ms)).astype(np.int64)
            repeated = draws.uniform(again[who], hour) < AGAIN_SHARE
            patient = draws.uniform(patience[who], hour) >= IMPATIENT_SHARE
            blind = np.zeros(int(repeated.sum()), np.bool_)
            for times, pumps, knows in ((at_ms, who, patient), (later_ms[repeated], who[repeated], blind)):
                now = (begins[pumps] < times) & (times <= ends[pumps])
                found += zip(times[now].tolist(), self._asking[pumps[now]].tolist(), knows[now].tolist(), strict=True)
        return sorted(found)

    def _answer(self, pump: int, at_ms: int, programs: Programs, *, knows_better: bool) -> list[Said]:
        allowed = self._boluses[pump]
        given = self._given.setdefault(pump, deque())
        while given and given[0][0] <= at_ms - DAY_MS:
            given.popleft()
        dose: dict[str, object] = {"dose_ul": allowed.dose_ul}
        said = [Said(pump, at_ms, "bolus_requested", dict(dose))]
        _, mode = programs.at(pump, at_ms)
        reason = None
        if mode != wire.RUNNING:
            reason = "not_running"
        elif given and at_ms < given[-1][0] + allowed.lockout_s * 1000:
            reason = "lockout"
        elif sum(given_ul for _, given_ul in given) + allowed.dose_ul > allowed.daily_cap_ul:
            reason = "daily_cap"
        if reason is not None and knows_better:
            return []
        if reason is not None:
            return [*said, Said(pump, at_ms, "bolus_denied", {**dose, "reason": reason})]
        duration_ms = round(allowed.duration_s * 1000)
        rate_ml_d = allowed.dose_ul / (duration_ms * UL_A_MS_AT_ONE_ML_D)
        end_ms = programs.add_bolus(pump, at_ms, at_ms + duration_ms, rate_ml_d)
        given.append((at_ms, allowed.dose_ul))
        if pump in self._under_way:  # it has ended earlier in the same spans: the lockout is longer than a bolus
            said.append(_delivered(pump, *self._under_way.pop(pump)))
        self._under_way[pump] = at_ms, end_ms, allowed.dose_ul * (end_ms - at_ms) / duration_ms
        return said


def _delivered(pump: int, begin_ms: int, end_ms: int, given_ul: float) -> Said:
    fields: dict[str, object] = {"dose_ul": round(given_ul, 2), "duration_s": (end_ms - begin_ms) / 1000}
    return Said(pump, end_ms, "bolus_delivered", fields)
