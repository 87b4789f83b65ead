"""Which reservoirs run low and which batteries run out in a run, injected or not? Labels from what the pumps publish.

A healthy fleet also has pumps whose reservoir formula demands an alert before the next visit: such an alert is due, and
never false. The formula is that of docs/rules.md, stated here on its own; near its limits an alert may come or not.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from simulators.draws import Floats
from simulators.faults import DAY_MS, HOUR_MS, LOW_D, LOW_SHARE, RESERVOIR_BIAS, Kind
from simulators.fleet import Implant
from simulators.labels import NEARLY_EMPTY_ML, Label
from simulators.pump import Booleans, Measured

LOOK_EVERY_MS: Final = HOUR_MS
LOW_ML: Final = 2.0
MAY: Final = 1.35  # boluses allotted, and what past refills have taught, move the limit
MUST: Final = 0.80
EMPTY_MAY_ML: Final = 0.6
RATE_WEIGHT: Final = 1 / 24
REPLACE_MAY_V: Final = 2.62  # the pump's own limit is 2.6 V, and a reading is good to 3 mV
REPLACE_MUST_V: Final = 2.57
SAYS: Final = {
    "replace_soon": "battery_low",
    "end_of_service": "battery_end",
    "reservoir_low": "reservoir_low",
    "reservoir_empty": "reservoir_empty",
}
"""What a pump says of itself, and the alert that then is none but a true one."""


class Tide:
    """One quantity of every pump: since when an alert may come, must be possible, and must have come."""

    def __init__(self, fault: str, count: int, besides: tuple[str, ...] = ()) -> None:
        self.fault, self.besides = fault, besides
        self.may_ms, self.earliest_ms, self.must_ms = (np.zeros(count, dtype=np.int64) for _ in range(3))
        self.over: list[tuple[int, int, int, int, int]] = []  # pump, may, earliest, must, end

    def look(self, now_ms: int, may: Booleans, holds: Booleans, must: Booleans) -> None:
        ended = np.flatnonzero((self.may_ms > 0) & ~may)
        for pump in ended.tolist():
            self.over.append(self._of(pump, now_ms))
            self.may_ms[pump] = self.earliest_ms[pump] = self.must_ms[pump] = 0
        for since_ms, condition in ((self.may_ms, may), (self.earliest_ms, holds), (self.must_ms, must)):
            since_ms[condition & (since_ms == 0)] = now_ms

    def episodes(self) -> list[tuple[int, int, int, int, int | None]]:
        """(pump, may, earliest, must, end), the last three 0 where it did not come to that."""
        open_ones = [(*self._of(pump, 0)[:4], None) for pump in np.flatnonzero(self.may_ms > 0).tolist()]
        return [*self.over, *open_ones]

    def _of(self, pump: int, end_ms: int) -> tuple[int, int, int, int, int]:
        return pump, int(self.may_ms[pump]), int(self.earliest_ms[pump]), int(self.must_ms[pump]), end_ms


class Levels:
    """What the readings of a fleet say of reservoirs and batteries, looked at once an hour."""

    def __init__(self, fleet: Sequence[Implant]) -> None:
        self._fleet = fleet
        count = len(fleet)
        self._full_ml = np.array([pump.capacity_ml for pump in fleet])
        self._filled_ml = self._full_ml.copy()
        self._refilled: list[int] = []
        self._rate_ml_d = np.array([pump.program_ml_d for pump in fleet])
        self._low = Tide("reservoir_low", count, ("reservoir_empty",))
        self._empty = Tide("reservoir_empty", count)
        self._battery = Tide("battery_low", count)
        self._told: dict[tuple[int, str], int] = {}  # when a pump said so first

    def look(self, begin_ms: int, spacing_ms: int, measured: Measured) -> None:
        """Take note of spans that have just passed, at the end of each hour."""
        grid_ms = begin_ms + spacing_ms * np.arange(1, len(measured.mode) + 1)
        ends = np.flatnonzero((grid_ms + spacing_ms) // LOOK_EVERY_MS > grid_ms // LOOK_EVERY_MS).tolist()
        done = 0
        for row in ends:
            hour = slice(done, row + 1)
            rate_ml_d, volts = (column[hour].mean(axis=0) for column in (measured.program_ml_d, measured.battery_v))
            self._look(int(grid_ms[row]), rate_ml_d, measured.reservoir_ml[row], volts)
            done = row + 1

    def _look(self, now_ms: int, rate_ml_d: Floats, left_ml: Floats, volts: Floats) -> None:
        self._rate_ml_d += RATE_WEIGHT * (rate_ml_d - self._rate_ml_d)
        q_ml_d = np.maximum(self._rate_ml_d, 1e-6)
        self._filled_ml[self._refilled] = left_ml[self._refilled]
        self._refilled.clear()
        # From a refill that did not fill the pump, either of two cycles may be meant.
        nearest, furthest = (
            self._share_of_limit(left_ml, full_ml, q_ml_d) for full_ml in (self._full_ml, self._filled_ml)
        )
        self._low.look(
            now_ms,
            (np.minimum(nearest, furthest) <= MAY) | (left_ml <= MAY * LOW_ML),
            (np.maximum(nearest, furthest) <= 1) | (left_ml <= LOW_ML),
            (np.maximum(nearest, furthest) <= MUST) | (left_ml <= MUST * LOW_ML),
        )
        self._empty.look(now_ms, left_ml <= EMPTY_MAY_ML, left_ml <= NEARLY_EMPTY_ML, left_ml <= 0.0)
        self._battery.look(now_ms, volts <= REPLACE_MAY_V, volts <= REPLACE_MAY_V, volts <= REPLACE_MUST_V)

    def refilled(self, pump: int) -> None:
        """What the reservoir holds when it is looked at next is what the pump was filled with."""
        self._refilled.append(pump)

    def _share_of_limit(self, left_ml: Floats, full_ml: Floats, q_ml_d: Floats) -> Floats:
        """The conservative time to empty in units of the time at which the reservoir counts as low."""
        surely_ml = np.maximum(left_ml - RESERVOIR_BIAS * (full_ml - left_ml), 0.0)
        left_d = surely_ml / (q_ml_d * (1 + RESERVOIR_BIAS))
        return np.asarray(left_d / np.minimum(LOW_D, LOW_SHARE * full_ml / q_ml_d))

    def told(self, pump: int, at_ms: int, code: object) -> None:
        """The pump has raised an alarm of its own."""
        if isinstance(code, str) and code in SAYS:
            self._told.setdefault((pump, SAYS[code]), at_ms)

    def labels(self) -> list[Label]:
        """One label for each time that a limit came near or a pump said so."""
        labels = []
        for tide in (self._low, self._empty, self._battery):
            for pump, may_ms, earliest_ms, must_ms, end_ms in tide.episodes():
                times = may_ms - LOOK_EVERY_MS, None if end_ms is None else end_ms + DAY_MS, earliest_ms, must_ms
                labels.append(self._label(pump, tide.fault, tide.besides, *times))
        labels += [self._label(pump, fault, (), at_ms, None, at_ms, 0) for (pump, fault), at_ms in self._told.items()]
        return labels

    def _label(
        self,
        pump: int,
        fault: str,
        besides: Sequence[str],
        onset_ms: int,
        end_ms: int | None,
        earliest_ms: int,
        due_ms: int,
    ) -> Label:
        implant = self._fleet[pump]
        return Label(
            pump_id=implant.pump_id,
            site=implant.site,
            model="sensor" if implant.sensor else "rotor",
            fault=fault,
            onset_ms=onset_ms,
            end_ms=end_ms,
            counts_from_ms=earliest_ms or onset_ms,
            earliest_ms=earliest_ms or None,
            due_ms=due_ms or None,
            expected=[fault] if due_ms else [],
            allowed=[*([] if due_ms else [fault]), *besides],
            injected=False,
        )


def with_consequences(injected: Sequence[Label], found: Sequence[Label]) -> list[Label]:
    """Both, in order of onset. What a fault already expects is not counted a second time."""
    labels = list(injected)
    for label in found:
        same = [
            number
            for number, known in enumerate(labels)
            if known.pump_id == label.pump_id and label.fault in known.expected and known.injected
        ]
        for number in same:
            known = labels[number]
            if known.due_ms is None and known.fault == Kind.BATTERY_EARLY:  # only the run could tell when
                labels[number] = msgspec.structs.replace(
                    known, counts_from_ms=label.counts_from_ms, earliest_ms=label.earliest_ms, due_ms=label.due_ms
                )
        if not same:
            labels.append(label)
    return sorted(labels, key=lambda each: each.onset_ms)
