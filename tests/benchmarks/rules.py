"""What do the rules cost a reading? The core alone, in this process: one reading of each pump a round, 60 s apart."""

import statistics
import time

import numpy as np

from service.core.fleet import Fleet, PumpEntry
from service.core.pipeline import ROUNDS_A_BATCH, fold_copy, publish_folded
from service.core.reading import ITEM, DrugClass, EventType, Items, Mode, round_to_stored
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts

BATCHES = 15
MINUTE_MS = 60_000
BEGAN_MS = 1_790_000_000_000
HEALTHY_SPREAD = 0.03


def measure(pumps: int) -> float:
    """Processor time a reading, µs: the median over batches of 64 rounds, in each of which every pump ends an hour."""
    fleet = Fleet(DEFAULT_RULEBOOK)
    facts = PumpFacts(DrugClass.BACLOFEN, flow_sensor=True, reservoir_sensor=True, capacity_ml=20.0, interval_s=60.0)
    fleet.enter([PumpEntry(number + 1, f"p{number}", facts) for number in range(pumps)])
    random = np.random.default_rng(7)
    rows = np.repeat(np.arange(pumps), ROUNDS_A_BATCH)
    took_us = []
    for batch in range(BATCHES):
        items = _items(fleet, rows, batch, random)
        began = time.thread_time()
        folded = fold_copy(fleet, items, rows)
        took_us.append((time.thread_time() - began) / len(items) * 1e6)
        if folded.changes:
            raise RuntimeError(f"a healthy pump has raised {folded.changes[0].condition}")
        publish_folded(fleet, folded)
    return statistics.median(took_us)


def _items(fleet: Fleet, rows: np.ndarray, batch: int, random: np.random.Generator) -> Items:
    items = np.zeros(len(rows), ITEM)
    seq = batch * ROUNDS_A_BATCH + np.arange(len(rows)) % ROUNDS_A_BATCH
    items["pump"] = fleet.keys[rows]
    items["kind"], items["mode"] = EventType.READING, Mode.RUNNING
    items["position"] = seq
    items["device_ms"] = items["measured_ms"] = items["received_ms"] = BEGAN_MS + seq * MINUTE_MS
    items["program_ml_d"] = 0.5
    items["flow_ml_d"] = 0.5 * (1 + HEALTHY_SPREAD * random.standard_normal(len(rows)))
    items["reservoir_ml"] = 18.0 - seq * 0.5 / 1440
    items["battery_v"] = 2.9
    items["delivered_ul"] = np.nan
    round_to_stored(items)
    return items
