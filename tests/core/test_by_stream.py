"""What is decided from absence, over a stream in which one message stands for many."""

import numpy as np
import pytest

from service.core.by_stream import StreamWatch, received_one_by_one
from service.core.reading import ITEM, DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts

MINUTE, HOUR = 60_000, 3_600_000
START = 1_795_348_800_000
FACTS = PumpFacts(DrugClass.BACLOFEN, flow_sensor=True, reservoir_sensor=True, capacity_ml=20.0, interval_s=60.0)


def items(pump: int, minutes: range, message: int = 0) -> np.ndarray:
    rows = np.zeros(len(minutes), ITEM)
    rows["pump"], rows["message"] = pump, message
    rows["position"] = np.array(minutes)
    rows["device_ms"] = START + MINUTE * np.array(minutes)
    rows["received_ms"] = rows["device_ms"].max()
    return rows


def spread(rows: np.ndarray) -> np.ndarray:
    received_one_by_one(rows, np.array([int(np.ptp(rows["device_ms"]))]))
    return rows


def test_a_message_that_stands_for_many_came_one_by_one() -> None:
    rows = spread(items(0, range(60)))
    assert rows["received_ms"].tolist() == rows["device_ms"].tolist()
    at_once = items(0, range(60))
    received_one_by_one(at_once, np.array([0]))
    assert set(at_once["received_ms"].tolist()) == {START + 59 * MINUTE}


@pytest.mark.parametrize("bundle", [1, 20, 60])
def test_silence_is_found_at_the_same_moments_however_readings_are_put_together(bundle: int) -> None:
    watch = StreamWatch(DEFAULT_RULEBOOK)
    watch.enter([(0, FACTS), (1, FACTS)], START)
    told = []
    for first in range(0, 600, bundle):
        for pump in (0, 1):
            minutes = [each for each in range(first, first + bundle) if pump == 0 or not 120 <= each < 300]
            if minutes:
                watch.heard(spread(items(pump, range(minutes[0], minutes[-1] + 1))))
        told += watch.until(START + (first + bundle - 1 - 60) * MINUTE)
    told += watch.until(START + 600 * MINUTE)
    assert [(each.pump, each.condition, each.turn, (each.at_ms - START) / MINUTE) for each in told] == [
        (1, "silence", "began", pytest.approx(122, abs=0.6)),
        (1, "silence", "ended", pytest.approx(300, abs=0.6)),
    ]


def test_what_lies_ahead_of_the_horizon_waits_for_its_time() -> None:
    watch = StreamWatch(DEFAULT_RULEBOOK)
    watch.enter([(0, FACTS)], START)
    watch.heard(spread(items(0, range(60))))
    watch.said(START + 50 * MINUTE, lambda inner: inner.stalled(0, stalled=True))
    assert watch.until(START + 40 * MINUTE) == []
    told = watch.until(START + 59 * MINUTE + 3 * HOUR)
    assert [str(each.condition) for each in told] == ["silence", "telemetry_lock"]
