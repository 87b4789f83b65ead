"""The fold over events of every kind and every slow condition: the same whatever the batches they came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.reading import CODES, EventType, Items, Mode, position_of
from service.core.state import DECIDED
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, event, readings

PUMPS = 8
HOURS = 60
SPACING_MIN = 15
# A rotor with a level sensor, boluses, and a battery that is old: all that the registry can bring into play.
FACTS = ROTOR._replace(
    reservoir_sensor=True, bolus_daily_cap_ul=100.0, implanted_ms=NOON_MS + 31 * 86_400_000 - 7 * 365.25 * 86_400_000
)
SLOW = {
    "reservoir_low",
    "reservoir_empty",
    "refill_mismatch",
    "level_deviation",
    "battery_low",
    "battery_end",
    "battery_reset",
    "program_unauthorised",
    "stopped_long",
    "bolus_cap",
    "bolus_denied",
    "memory_error",
}


def happening(chance: np.random.Generator, level_ml: float) -> dict[str, object]:
    kind = EventType(int(chance.integers(1, len(EventType))))
    said: dict[str, object] = {"kind": kind}
    if kind in CODES:
        said["code"] = str(chance.choice(CODES[kind]))
    match kind:
        case EventType.REFILL:
            said |= {"value": 18.0, "second": max(level_ml + chance.normal(0, 3), 0.0)}
        case EventType.BOLUS_DELIVERED:
            said |= {"value": 60.0, "second": 60.0}
        case EventType.PROGRAM_CHANGED:
            mode = int(chance.choice([Mode.RUNNING, Mode.STOPPED, Mode.MINIMUM]))
            said |= {
                "value": 0.0 if mode == Mode.STOPPED else 0.5,
                "second": float(chance.random() < 0.5),
                "mode": mode,
            }
        case EventType.CLOCK_SET:
            said["value"] = 0.0
    return said


def eventful(pump: int) -> Items:
    """Two days and a half: programs that stop, levels that fall as they should or not, a weak battery, gaps."""
    chance = np.random.default_rng(100 + pump)
    count = HOURS * 60 // SPACING_MIN
    program = np.where(np.arange(count) // 20 % 4 == pump % 4, 0.0, 0.5)
    if pump < 2:
        program[8:] = 0.0
    falls = 0.5 / 96 * (3.0 if pump in {2, 3} else 1.0)
    level = np.clip([18.0, 0.6][pump % 2] - falls * np.arange(count), 0, None) + 0.05 * chance.standard_normal(count)
    parts = [
        readings(
            count,
            program_ml_d=program,
            reservoir_ml=np.clip(level, 0, None),
            battery_v=2.62 + 0.03 * chance.standard_normal(count),
            spacing_ms=SPACING_MIN * MINUTE_MS,
            pump=pump,
        )
    ]
    for at in sorted(chance.integers(0, count * SPACING_MIN, 40 if pump > 3 else 6).tolist()):
        said = happening(chance, float(level[at // SPACING_MIN]))
        parts.append(event(seq=0, at_ms=NOON_MS + at * MINUTE_MS, pump=pump, **said))
    for kind, at in ((EventType.DEVICE_ALARM_RAISED, 600), (EventType.DEVICE_ALARM_CLEARED, 700)):
        parts.append(event(kind, seq=0, at_ms=NOON_MS + at * MINUTE_MS, pump=pump, code="memory_error"))
    items = np.concatenate(parts)
    items = items[np.lexsort((items["kind"] == EventType.READING, items["measured_ms"]))]
    items["position"] = position_of(1, 0) + np.arange(len(items))
    return items[chance.random(len(items)) > 0.02]


SPAN = [eventful(pump) for pump in range(PUMPS)]


def pumps_of_all_kinds() -> Pumps:
    pumps = Pumps(PUMPS, FACTS)
    pumps.limits[-1] = Pumps(facts=SENSOR).limits[0]
    return pumps


@pytest.fixture(scope="module")
def in_one() -> Pumps:
    pumps = pumps_of_all_kinds()
    pumps.take(*SPAN)
    return pumps


def test_the_span_has_a_turn_of_every_slow_condition(in_one: Pumps) -> None:
    assert set(DECIDED) >= SLOW
    assert SLOW - {condition for condition, _ in in_one.told} == set()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 120))
def test_any_batching_gives_the_same_state_and_the_same_turns(in_one: Pumps, seed: int, most: int) -> None:
    """Each batch takes a random number of the next items of a random choice of pumps."""
    choice = np.random.default_rng(seed)
    queues = list(SPAN)
    pumps = pumps_of_all_kinds()
    while any(len(queue) for queue in queues):
        counts = choice.integers(0, 1 + most, PUMPS)
        pumps.take(*(queue[:count] for queue, count in zip(queues, counts, strict=True)))
        queues = [queue[count:] for queue, count in zip(queues, counts, strict=True)]
    assert pumps.state.tobytes() == in_one.state.tobytes()
    key = lambda change: (change.pump, change.position, change.condition)  # noqa: E731
    assert sorted(pumps.turns, key=key) == sorted(in_one.turns, key=key)


@pytest.mark.parametrize("pump", range(PUMPS))
def test_a_pump_alone_is_judged_as_among_others(in_one: Pumps, pump: int) -> None:
    alone = pumps_of_all_kinds()
    alone.take(SPAN[pump])
    assert alone.state[pump].tobytes() == in_one.state[pump].tobytes()
