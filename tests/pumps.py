"""Builders: pumps whose readings say just what a test is about, and a fleet of one kind."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.core.change import Change
from service.core.evaluate import fold
from service.core.limits import LIMITS_ROW
from service.core.reading import CODES, ITEM, DrugClass, EventType, Items, Mode, position_of, round_to_stored
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts, Rulebook
from service.core.state import fresh

NOON_MS = 1_795_348_800_000  # 2026-11-22T12:00:00Z, a whole hour
MINUTE_MS = 60_000
SENSOR = PumpFacts(DrugClass.BACLOFEN, flow_sensor=True, reservoir_sensor=True, capacity_ml=20.0, interval_s=60.0)
ROTOR = SENSOR._replace(flow_sensor=False, reservoir_sensor=False)


def readings(
    minutes: int,
    *,
    flow: float | Sequence[float] = 1.0,
    program_ml_d: float | Sequence[float] = 0.5,
    reservoir_ml: float | Sequence[float] | None = None,
    battery_v: float | Sequence[float] = 2.9,
    mode: Mode = Mode.RUNNING,
    first_seq: int = 0,
    boot: int = 1,
    spacing_ms: int = MINUTE_MS,
    start_ms: int = NOON_MS,
    pump: int = 0,
) -> Items:
    """`minutes` readings of one pump, one a spacing, the first at `start_ms`. `flow` is a fraction of the program.

    Without `reservoir_ml` the level was 18 mL at noon and has fallen with the flow; before these, as programmed.
    """
    items = np.zeros(minutes, ITEM)
    items["pump"] = pump
    items["position"] = position_of(boot, first_seq) + np.arange(minutes)
    items["device_ms"] = items["measured_ms"] = start_ms + np.arange(minutes) * spacing_ms
    items["received_ms"] = items["measured_ms"] + 200
    items["program_ml_d"] = program_ml_d
    items["flow_ml_d"] = items["program_ml_d"] * np.asarray(flow)
    items["mode"] = mode
    if reservoir_ml is None:
        spans_d = np.full(minutes, spacing_ms / 86_400_000)
        spans_d[:1] = 0
        before_ml = (start_ms - NOON_MS) / 86_400_000 * items["program_ml_d"][:1]
        reservoir_ml = np.clip(18.0 - before_ml - np.cumsum(items["flow_ml_d"] * spans_d), 0, None)
    items["reservoir_ml"] = reservoir_ml
    items["battery_v"] = battery_v
    items["code"] = -1
    for name in ("delivered_ul", "value", "second"):
        items[name] = np.nan
    round_to_stored(items)
    return items


def event(
    kind: EventType,
    *,
    seq: int,
    value: float = np.nan,
    second: float = np.nan,
    code: str | None = None,
    mode: int = -1,
    at_ms: int = NOON_MS,
    boot: int = 1,
    pump: int = 0,
) -> Items:
    """`second` and `code` as core/reading.py says; `code` is the word."""
    items = readings(1, first_seq=seq, boot=boot, start_ms=at_ms, pump=pump)
    items["kind"], items["mode"], items["value"], items["second"] = kind, mode, value, second
    if code is not None:
        items["code"] = CODES[kind].index(code)
    for name in ("program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v"):
        items[name] = np.nan
    return items


class Pumps:
    """Pumps under the fold, fed batch by batch; remembers every turn."""

    def __init__(self, pumps: int = 1, facts: PumpFacts = SENSOR, rulebook: Rulebook = DEFAULT_RULEBOOK) -> None:
        self.state = fresh(pumps)
        self.evaluated: npt.NDArray[np.int64] = np.full(pumps, -1, np.int64)
        self.limits = np.concatenate([rulebook.limits_row(facts)] * pumps)
        self.turns: list[Change] = []
        assert self.limits.dtype == LIMITS_ROW

    def take(self, *batch: Items) -> list[Change]:
        items = np.concatenate(batch)
        items = items[np.lexsort((items["position"], items["pump"]))]
        turns = fold(self.state, self.evaluated, items, self.limits, items["pump"].astype(np.intp), 120_000)
        self.turns += turns
        return turns

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(str(change.condition), str(change.turn)) for change in self.turns]


def minutes_after(change: Change, start_ms: int = NOON_MS) -> float:
    return (change.at_ms - start_ms) / MINUTE_MS
