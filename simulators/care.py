"""Who is refilled when? The visits of a fleet over its run; pumps whose refill is missed have none."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from simulators.faults import DAY_MS, Timeline
from simulators.fleet import Implant
from simulators.stories import Moment, refill
from simulators.visits import AHEAD_D, AT_MOST_D, RESERVE_ML, due_ms

WEEKEND_D: Final = 3.0  # a visit may be brought forward by this much


def visits_of(fleet: Sequence[Implant], timeline: Timeline, missed: Collection[int]) -> Iterator[Moment]:
    """Every visit within the run. Each fills the pump, and with that the next one is planned."""
    run_d = (timeline.end_ms - timeline.start_ms) / DAY_MS
    for pump, implant in enumerate(fleet):
        lasts_d = min((implant.filled_ml - RESERVE_ML) / implant.use_ml_d - AHEAD_D[1], AT_MOST_D) - WEEKEND_D
        if lasts_d > run_d or pump in missed:
            continue
        at_ms = _next_ms(implant, implant.filled_ml, timeline.start_ms)
        while at_ms <= timeline.end_ms:
            yield refill(pump, at_ms, implant.capacity_ml)
            at_ms = _next_ms(implant, implant.capacity_ml, at_ms)


def _next_ms(implant: Implant, volume_ml: float, now_ms: int) -> int:
    return due_ms(volume_ml, implant.use_ml_d, now_ms, implant.time_zone, implant.visit_chance)
