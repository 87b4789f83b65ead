"""What the rules remember of a pump comes back from its checkpoint to the bit, however little of it there is."""

import numpy as np
import pytest

from service.core.state import ALL_VALUES, FIELDS, fresh, packed, unpacked

AWKWARD = (0.0, -0.0, np.nan, np.inf, 5e-324, 1e-17, -1.0, 1.7e308)


@pytest.mark.parametrize("said", [0.0, 0.02, 0.3, 1.0])
def test_what_is_packed_is_unpacked_to_the_bit(said: float) -> None:
    random = np.random.default_rng(7)
    states = fresh(50)
    which = random.random(states.shape) < said
    states[which] = random.choice(AWKWARD, int(which.sum()))
    assert [unpacked(state).tobytes() for state in packed(states)] == [state.tobytes() for state in states]


def test_little_is_written_of_a_pump_of_which_little_is_remembered() -> None:
    states = fresh(2)
    states[1, :40] = 1.0
    assert [len(state) for state in packed(states)] == [-(-FIELDS // 8), -(-FIELDS // 8) + 40 * 8]
    assert packed(states[:0]) == []


def test_states_that_were_written_before_are_read() -> None:
    states = fresh(1)
    states[0, 5:9] = -0.0, 1.5, np.nan, 7
    assert unpacked(states[0].tobytes(), ALL_VALUES).tobytes() == states[0].tobytes()
