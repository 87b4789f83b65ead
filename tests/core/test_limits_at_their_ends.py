"""Does any limit of the rulebook, at either end of its range, switch a condition of the floor off?"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.change import Condition
from service.core.evaluate import fold
from service.core.lifecycle import EPOCH
from service.core.limits import LIMITS
from service.core.override import FLOOR
from service.core.reading import DrugClass, Items, round_to_stored
from service.core.rulebook import PumpFacts, Rulebook, parse_rulebook
from service.core.silence import Heard, turn_of
from service.core.state import fresh
from tests.pumps import MINUTE_MS, ROTOR, SENSOR, readings

Values = dict[tuple[str, str], float]
SPACING_MS = 10 * MINUTE_MS
DAY = 144  # readings
WEEK = timedelta(days=7)


def rulebook_of(values: Values) -> Rulebook | None:
    """None where these limits contradict each other: such a rulebook is refused."""
    sections: dict[str, list[str]] = {}
    for (section, name), value in values.items():
        sections.setdefault(section, []).append(f"{name} = {value!r}")
    text = "\n".join("\n".join([f"[{section}]", *lines]) for section, lines in sections.items())
    found = parse_rulebook(text)
    return found if isinstance(found, Rulebook) else None


def at_one_end() -> Iterator[Values]:
    for section, limits in LIMITS.items():
        for name, limit in limits.items():
            for value in (limit.least, limit.most):
                yield {(section, name): value}


def flow(share: float, program_ml_d: float, count: int, facts: PumpFacts) -> npt.NDArray[np.float64]:
    """Ten-minute means: of a sensor with its noise, which cannot count backwards."""
    if not facts.flow_sensor:
        return np.full(count, share * program_ml_d)
    sd = max(0.15 * share * program_ml_d, 0.02)
    noise = np.random.default_rng(7).standard_normal((count, 10))
    return np.clip(share * program_ml_d + sd * noise, 0, None).mean(axis=1)


def delivering(shares: list[tuple[int, float]], program_ml_d: float, facts: PumpFacts) -> Items:
    """Readings every ten minutes for so many days at each share of the program."""
    parts = [flow(share, program_ml_d, days * DAY, facts) for days, share in shares]
    items = readings(sum(map(len, parts)), program_ml_d=program_ml_d, spacing_ms=SPACING_MS, reservoir_ml=18.0)
    items["flow_ml_d"] = np.concatenate(parts)
    round_to_stored(items)
    return items


def emptying(facts: PumpFacts) -> Items:
    level_ml = np.r_[np.linspace(1, 0, 2 * DAY), np.zeros(3 * DAY)]
    if facts.reservoir_sensor:
        level_ml = np.clip(level_ml + 0.05 * np.random.default_rng(9).standard_normal(len(level_ml)), 0, None)
    return readings(len(level_ml), spacing_ms=SPACING_MS, reservoir_ml=level_ml)


def unfound(condition: Condition, items: Items, facts: PumpFacts, tried: list[Values]) -> list[Values]:
    """Those of `tried` under which a pump with these readings is not found to have the condition, side by side."""
    rulebooks = [(values, rulebook) for values in tried if (rulebook := rulebook_of(values)) is not None]
    pumps = len(rulebooks)
    limits = np.concatenate([rulebook.limits_row(facts) for _, rulebook in rulebooks])
    many = np.tile(items, pumps)
    many["pump"] = np.repeat(np.arange(pumps), len(items))
    turns = fold(fresh(pumps), np.full(pumps, -1), many, limits, many["pump"].astype(np.intp), 120_000)
    found = {turn.pump for turn in turns if turn.condition is condition}
    return [values for pump, (values, _) in enumerate(rulebooks) if pump not in found]


CASES = [
    *(
        (Condition.STALL, facts, [(1, 1.0), (4, 0.0)], program)
        for facts, program in product((ROTOR, SENSOR), (0.1, 0.5))
    ),
    *((Condition.OVER_DELIVERY_GROSS, SENSOR, [(1, 1.0), (3, 3.0)], program) for program in (0.1, 0.5)),
]


@pytest.mark.parametrize(("condition", "facts", "shares", "program_ml_d"), CASES)
def test_no_limit_at_an_end_of_its_range_hides_a_stall_or_a_threefold_flow(
    condition: Condition, facts: PumpFacts, shares: list[tuple[int, float]], program_ml_d: float
) -> None:
    assert unfound(condition, delivering(shares, program_ml_d, facts), facts, list(at_one_end())) == []


@pytest.mark.parametrize("facts", [ROTOR, SENSOR])
def test_no_limit_at_an_end_of_its_range_hides_an_empty_reservoir(facts: PumpFacts) -> None:
    assert unfound(Condition.RESERVOIR_EMPTY, emptying(facts), facts, list(at_one_end())) == []


def of_section(condition: Condition) -> st.SearchStrategy[Values]:
    """Every limit of the condition at one of its ends or at its default, all at once."""
    return st.fixed_dictionaries(
        {
            (str(condition), name): st.sampled_from([limit.least, limit.default, limit.most])
            for name, limit in LIMITS[condition].items()
        }
    )


def at_several_ends(condition: Condition, facts: PumpFacts) -> list[Values]:
    """Each limit of the condition at one of its ends or at its default, drawn anew each time."""
    draws = np.random.default_rng([len(condition), facts.flow_sensor])
    return [
        {
            (condition, name): float(draws.choice([limit.least, limit.default, limit.most]))
            for name, limit in LIMITS[condition].items()
        }
        for _ in range(150)
    ]


@pytest.mark.parametrize(("condition", "facts", "shares", "program_ml_d"), CASES)
def test_nor_do_several_at_once(
    condition: Condition, facts: PumpFacts, shares: list[tuple[int, float]], program_ml_d: float
) -> None:
    tried = at_several_ends(condition, facts)
    assert unfound(condition, delivering(shares, program_ml_d, facts), facts, tried) == []


@pytest.mark.parametrize("facts", [ROTOR, SENSOR])
def test_nor_do_several_hide_an_empty_reservoir(facts: PumpFacts) -> None:
    tried = at_several_ends(Condition.RESERVOIR_EMPTY, facts)
    assert unfound(Condition.RESERVOIR_EMPTY, emptying(facts), facts, tried) == []


@settings(max_examples=200, deadline=None)
@given(of_section(Condition.SILENCE), st.sampled_from([1.0, 60.0, 3600.0]))
def test_a_pump_that_is_not_heard_for_a_week_is_silent_under_any_of_them(values: Values, interval_s: float) -> None:
    rulebook = rulebook_of(values)
    if rulebook is not None:
        heard = Heard(1, EPOCH, 1, interval_s, DrugClass.BACLOFEN, 0.5, ended_at=EPOCH)
        assert turn_of(heard, rulebook, EPOCH + WEEK) is not None


def test_these_are_all_that_the_floor_has() -> None:
    floor = {Condition.STALL, Condition.OVER_DELIVERY_GROSS, Condition.RESERVOIR_EMPTY, Condition.SILENCE}
    assert set(FLOOR) == floor
