"""What was each pump told to deliver? Basal programs, what interrupts them, and their exact integral over any span."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from simulators import wire
from simulators.draws import Floats, Integers

MINIMUM_ML_D: Final = 0.006
"""What a pump runs at its minimum rate: enough to keep the tube from taking a set."""
UL_A_MS_AT_ONE_ML_D: Final = 1 / 86_400
FOREVER_MS: Final = 1 << 60
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Program:
    """A basal program. Without `days` it is simple: always the same rate.

    Flex: `days` holds one pattern for every day, or seven from Monday on; a pattern is (from this minute of the day,
    rate in mL/d), the first from minute 0, by the wall clock of `time_zone`.
    """

    rate_ml_d: float  # of a flex program the mean over a week
    days: tuple[tuple[tuple[int, float], ...], ...] = ()
    time_zone: str = "UTC"

    @classmethod
    def flex(cls, days: Sequence[Sequence[tuple[int, float]]], time_zone: str = "UTC") -> "Program":
        patterns = tuple(tuple(pattern) for pattern in days)
        means = [sum(rate * minutes for rate, minutes in _lengths(pattern)) / 1440 for pattern in patterns]
        return cls(sum(means) / len(means), patterns, time_zone)

    def scaled(self, factor: float) -> "Program":
        """The same pattern with every rate so many times as high, rounded as a programmer's screen does."""
        days = tuple(tuple((at, round(rate * factor, 4)) for at, rate in pattern) for pattern in self.days)
        if days:
            return Program.flex(days, self.time_zone)
        return replace(self, rate_ml_d=round(self.rate_ml_d * factor, 4))

    def rates(self, from_ms: int) -> Iterator[tuple[int, float]]:
        """Yield (from when, mL/d): what is in force at `from_ms`, then each change after it, for ever."""
        if not self.days:
            yield from_ms, self.rate_ml_d
            return
        zone = ZoneInfo(self.time_zone)
        day = datetime.fromtimestamp(from_ms / 1000, zone).date() - timedelta(days=1)
        current = math.nan
        while True:
            for begin_ms, rate_ml_d in self._day(day):
                if begin_ms > from_ms:
                    if not math.isnan(current):
                        yield from_ms, current
                        current = math.nan
                    yield begin_ms, rate_ml_d
                else:
                    current = rate_ml_d
            day += timedelta(days=1)

    def _day(self, day: date) -> list[tuple[int, float]]:
        pattern = self.days[day.weekday() % len(self.days)]
        return sorted((_wall_ms(day, minute, self.time_zone), rate_ml_d) for minute, rate_ml_d in pattern)


@dataclass(frozen=True, slots=True)
class Phase:
    """A time in which a pump does not run its basal program; `end_ms` None: until it is told otherwise."""

    mode: int
    rate_ml_d: float
    end_ms: int | None = None
    then_stopped: bool = False  # a single bolus ends in a stopped pump, priming and bridge in the basal program


STOPPED: Final = Phase(wire.STOPPED, 0.0)
AT_MINIMUM: Final = Phase(wire.MINIMUM, MINIMUM_ML_D)


def single_bolus(at_ms: int, dose_ul: float, duration_s: float) -> Phase:
    return _given(wire.BOLUS, at_ms, dose_ul, duration_s, then_stopped=True)


def priming(at_ms: int, volume_ul: float, duration_s: float) -> Phase:
    """A fast run that fills what lies between reservoir and tip."""
    return _given(wire.PRIMING, at_ms, volume_ul, duration_s, then_stopped=False)


def bridge(at_ms: int, dead_ul: float, rate_ml_d: float) -> Phase:
    """After a change of concentration: this rate for as long as the old drug takes to leave the dead volume."""
    return Phase(wire.BRIDGE, rate_ml_d, at_ms + round(dead_ul / (rate_ml_d * UL_A_MS_AT_ONE_ML_D)))


class Mark(NamedTuple):
    """From when on a pump is to run at which rate, and in which mode."""

    from_ms: int
    rate_ml_d: float
    mode: int


_NEVER: Final = Mark(FOREVER_MS, 0.0, wire.RUNNING)


class Programs:
    """The programs of many pumps. A change is told before the span in which it happens is asked for."""

    def __init__(self, programs: Sequence[Program], at_ms: Integers) -> None:
        count = len(programs)
        self.basal = list(programs)
        self.rate_ml_d = np.array([program.rate_ml_d for program in programs])
        self.mode = np.full(count, wire.RUNNING, dtype=np.int64)
        self._until_ms = np.full(count, FOREVER_MS, dtype=np.int64)  # when rate or mode next change
        self._ahead: dict[int, deque[Mark]] = {}  # of pumps that were ever to change: what comes next,
        self._rest: dict[int, Iterator[Mark]] = {}  # and after that
        self._boluses: dict[int, list[tuple[int, int, float]]] = {}  # by pump: (from, to, mL/d)
        self._told_ms: dict[int, list[int]] = {}  # by pump: when it is to change, of what is still to come
        for pump, (program, begin_ms) in enumerate(zip(programs, at_ms.tolist(), strict=True)):
            if program.days:
                self._ahead[pump], self._rest[pump] = deque(), _marks(program, begin_ms, None)
                self._enter(pump, next(self._rest[pump]))

    def change(self, pump: int, at_ms: int, phase: Phase | None = None, basal: Program | None = None) -> None:
        """From `at_ms` on the pump is in `phase`; without one it runs its basal program, which `basal` may replace."""
        if basal is not None:
            self.basal[pump] = basal
        then = _marks(self.basal[pump], at_ms, phase)
        before = chain(self._ahead.get(pump, ()), self._rest.get(pump, ()))
        self._rest[pump] = _followed(before, at_ms, then)
        self._ahead[pump] = deque()
        self._look_ahead(pump)
        self._told_ms.setdefault(pump, []).append(at_ms)
        if boluses := self._boluses.pop(pump, None):
            self._boluses[pump] = [(begin, min(end, at_ms), rate) for begin, end, rate in boluses if begin < at_ms]

    def add_bolus(self, pump: int, from_ms: int, to_ms: int, extra_ml_d: float) -> int:
        """What the patient asked for, on top of the program; return its end, which a change may bring forward."""
        to_ms = min([to_ms, *(told_ms for told_ms in self._told_ms.get(pump, ()) if told_ms > from_ms)])
        self._boluses.setdefault(pump, []).append((from_ms, to_ms, extra_ml_d))
        return to_ms

    def at(self, pump: int, at_ms: int) -> tuple[float, int]:
        """Rate (mL/d) and mode at a time that is still to come, without boluses that the patient asks for."""
        rate_ml_d, mode = float(self.rate_ml_d[pump]), int(self.mode[pump])
        for index in range(FOREVER_MS if pump in self._rest else 0):
            if index == len(self._ahead[pump]):
                self._ahead[pump].append(next(self._rest[pump], _NEVER))
            mark = self._ahead[pump][index]
            if mark.from_ms > at_ms:
                break
            rate_ml_d, mode = mark.rate_ml_d, mark.mode
        return rate_ml_d, mode

    def over(self, from_ms: Integers, spacing_ms: int, steps: int) -> tuple[Floats, Integers]:
        """The mean rate (mL/d) over each of the next spans and the mode at its end, [step, pump].

        `from_ms` is where the first span of each pump begins: where the last call of this ended.
        """
        rates = np.empty((steps, len(self.rate_ml_d)))
        modes = np.empty(rates.shape, dtype=np.int64)
        changing = np.flatnonzero(self._until_ms < from_ms + spacing_ms * steps)
        rates[:], modes[:] = self.rate_ml_d, self.mode
        for pump in changing.tolist():
            spans = _Spans(int(from_ms[pump]), spacing_ms, rates[:, pump], modes[:, pump])
            rates[:, pump] = 0.0
            self._follow(pump, spans)
        for pump in [pump for pump, told_ms in self._told_ms.items() if told_ms[-1] <= from_ms[pump]]:
            del self._told_ms[pump]
        for pump, boluses in list(self._boluses.items()):
            spans = _Spans(int(from_ms[pump]), spacing_ms, rates[:, pump], modes[:, pump])
            for begin_ms, end_ms, extra_ml_d in boluses:
                spans.pour(begin_ms, end_ms, extra_ml_d, wire.BOLUS)
            self._boluses[pump] = [bolus for bolus in boluses if bolus[1] > spans.to_ms]
            if not self._boluses[pump]:
                del self._boluses[pump]
        return rates, modes

    def _follow(self, pump: int, spans: "_Spans") -> None:
        at_ms = spans.from_ms
        while at_ms < spans.to_ms:
            until_ms = min(int(self._until_ms[pump]), spans.to_ms)
            spans.pour(at_ms, until_ms, float(self.rate_ml_d[pump]), int(self.mode[pump]), to_the_end=True)
            at_ms = max(until_ms, at_ms)
            while self._until_ms[pump] <= at_ms:
                self._enter(pump, self._ahead[pump].popleft())

    def _enter(self, pump: int, mark: Mark) -> None:
        self.rate_ml_d[pump], self.mode[pump] = mark.rate_ml_d, mark.mode
        self._look_ahead(pump)

    def _look_ahead(self, pump: int) -> None:
        if not self._ahead[pump]:
            self._ahead[pump].append(next(self._rest[pump], _NEVER))
        self._until_ms[pump] = self._ahead[pump][0].from_ms


class _Spans:
    """Spans of one pump, into which rates are poured for as long as they last."""

    def __init__(self, from_ms: int, spacing_ms: int, rates: Floats, modes: Integers) -> None:
        self.from_ms, self.spacing_ms, self.rates, self.modes = from_ms, spacing_ms, rates, modes
        self.to_ms = from_ms + spacing_ms * len(rates)

    def pour(self, begin_ms: int, end_ms: int, rate_ml_d: float, mode: int, *, to_the_end: bool = False) -> None:
        """Add a rate from `begin_ms` to `end_ms`, as far as it lies in these spans.

        What a span gets depends on nothing but the span and the rate.
        """
        begin_ms, end_ms = max(begin_ms, self.from_ms), min(end_ms, self.to_ms)
        if begin_ms >= end_ms:
            return
        first, begins = divmod(begin_ms - self.from_ms, self.spacing_ms)
        last, ends = divmod(end_ms - self.from_ms, self.spacing_ms)
        self.modes[first : None if to_the_end else last + (ends > 0)] = mode
        if first == last:
            self.rates[first] += rate_ml_d * (ends - begins) / self.spacing_ms
            return
        if begins:
            self.rates[first] += rate_ml_d * (self.spacing_ms - begins) / self.spacing_ms
            first += 1
        self.rates[first:last] += rate_ml_d
        if ends:
            self.rates[last] += rate_ml_d * ends / self.spacing_ms


def _marks(basal: Program, at_ms: int, phase: Phase | None) -> Iterator[Mark]:
    """Where a pump's rate or mode changes from `at_ms` on, that moment included."""
    if phase is not None:
        yield Mark(at_ms, phase.rate_ml_d, phase.mode)
        if phase.end_ms is None:
            return
        at_ms = phase.end_ms
        if phase.then_stopped:
            yield Mark(at_ms, 0.0, wire.STOPPED)
            return
    for from_ms, rate_ml_d in basal.rates(at_ms):
        yield Mark(from_ms, rate_ml_d, wire.RUNNING)


def _followed(marks: Iterable[Mark], at_ms: int, then: Iterator[Mark]) -> Iterator[Mark]:
    for mark in marks:
        if mark.from_ms >= at_ms:
            break
        yield mark
    del marks  # it may hold those that it followed itself
    yield from then


def _given(mode: int, at_ms: int, volume_ul: float, duration_s: float, *, then_stopped: bool) -> Phase:
    duration_ms = round(duration_s * 1000)
    return Phase(mode, volume_ul / (duration_ms * UL_A_MS_AT_ONE_ML_D), at_ms + duration_ms, then_stopped)


def _lengths(pattern: Sequence[tuple[int, float]]) -> Iterator[tuple[float, int]]:
    """Yield (mL/d, minutes) of one day."""
    ends = [at for at, _ in pattern[1:]] + [1440]
    for (at, rate_ml_d), end in zip(pattern, ends, strict=True):
        yield rate_ml_d, end - at


@lru_cache(maxsize=65_536)
def _wall_ms(day: date, minute: int, time_zone: str) -> int:
    """When the wall clock shows this minute of the day."""
    wall = datetime.combine(day, time(minute // 60, minute % 60), ZoneInfo(time_zone))
    return round(wall.timestamp() * 1000)
