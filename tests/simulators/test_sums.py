"""A sum that is carried over is the same to the bit, wherever it was cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.sums import running


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(1, 40), st.floats(0, 1e9))
def test_a_running_sum_does_not_depend_on_where_it_is_cut(added: list[float], cut: int, start: float) -> None:
    rows = np.array(added)[:, None]
    whole = running(np.array([start]), rows)

    first = running(np.array([start]), rows[:cut])
    rest = running(first[-1], rows[cut:]) if len(rows) > cut else first[-1:]

    assert whole[-1, 0] == rest[-1, 0]
    assert (whole[: cut + 1] == first).all()
    assert whole[0, 0] == start
