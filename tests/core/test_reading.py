"""Positions order a pump's history for ever, and stored precision is applied once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.core.reading import MAX_BOOT, MAX_SEQ, boot_of, position_of, round_to_stored, seq_of
from tests.pumps import readings


@given(st.integers(0, MAX_BOOT), st.integers(0, MAX_SEQ))
def test_a_position_says_its_boot_and_its_place_in_it(boot: int, seq: int) -> None:
    position = position_of(boot, seq)
    assert (boot_of(position), seq_of(position)) == (boot, seq)
    assert position < 2**63


def test_every_position_of_a_boot_comes_after_those_of_the_boots_before() -> None:
    assert position_of(2, 0) > position_of(1, MAX_SEQ)


@given(st.floats(0, 100_000), st.floats(0, 100), st.floats(0, 1e9))
def test_rounding_twice_is_rounding_once(flow_ml_d: float, reservoir_ml: float, delivered_ul: float) -> None:
    items = readings(1)
    items["flow_ml_d"], items["reservoir_ml"], items["delivered_ul"] = flow_ml_d, reservoir_ml, delivered_ul
    round_to_stored(items)
    again = items.copy()
    round_to_stored(again)
    assert again.tobytes() == items.tobytes()
    assert abs(items["reservoir_ml"][0] - reservoir_ml) <= 0.000_51
    assert items["reservoir_ml"][0] == np.float32(items["reservoir_ml"][0])
