"""Pumps on a bench: many of one kind, and what they report as columns [step, pump]."""

from typing import Any

import numpy as np

from simulators.draws import Floats
from simulators.patients import NO_BOLUSES, Boluses
from simulators.programs import Program
from simulators.pump import Demand, Measured, Nature, Pumps

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOON_MS = 1_795_348_800_000  # 2026-11-22T12:00:00Z, a Sunday
YEAR_MS = round(365.25 * DAY_MS)


def pumps(
    count: int,
    program: float | Program = 0.5,
    *,
    sensor: bool = False,
    tells_stalls: bool = False,
    bias: float | Floats = 0.0,
    full_ml: float = 20.0,
    first: int = 1,
    battery_used: float = 0.0,
    implanted_ms: int = NOON_MS,
    dead_ul: float = 0.0,
    boluses: Boluses = NO_BOLUSES,
    **options: Any,
) -> Pumps:
    basal = program if isinstance(program, Program) else Program(program)
    nature = Nature(
        number=np.arange(first, first + count),
        sensor=np.full(count, sensor),
        tells_stalls=np.full(count, tells_stalls),
        bias=np.broadcast_to(bias, count).astype(float),
        reservoir_ml=np.full(count, full_ml),
        true_ml=np.full(count, full_ml),
        battery_used=np.full(count, battery_used),
        implanted_ms=np.full(count, implanted_ms),
        dead_ul=np.full(count, dead_ul),
        basal=[basal] * count,
        boluses=[boluses] * count,
    )
    return Pumps(7, nature, np.full(count, NOON_MS), **options)


def run(of: Pumps, steps: int, spacing_ms: int = MINUTE_MS, **wrong: float) -> Measured:
    """Run the programs; `wrong` are columns of the demand, such as `advance=0.0`."""
    demand = of.demand(spacing_ms, steps)
    return of.run(spacing_ms, with_wrong(demand, **wrong))


def with_wrong(demand: Demand, **wrong: float) -> Demand:
    return demand._replace(**{name: np.full_like(demand.program_ml_d, value) for name, value in wrong.items()})


def told(of: Pumps, pump: int = 0) -> list[tuple[int, str]]:
    """(when after noon, what) of one pump; a device alarm by its code, cleared ones in brackets."""
    return [
        (said.at_ms - NOON_MS, _word(said.type, str(said.fields.get("code", said.type))))
        for said in of.take_said()
        if said.pump == pump
    ]


def _word(kind: str, code: str) -> str:
    return f"({code})" if kind == "device_alarm_cleared" else code
