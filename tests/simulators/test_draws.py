"""Random numbers belong to a pump and a step, and to nothing else."""

import numpy as np

from simulators.draws import keys_of, normal_pair, uniform

NUMBERS = np.arange(1, 2001)


def test_a_draw_depends_on_seed_pump_purpose_and_step_and_on_nothing_else() -> None:
    keys = keys_of(7, NUMBERS, "flow")
    alone = keys_of(7, NUMBERS[499:500], "flow")

    for step in (0, 1, 10**9):
        assert uniform(alone, step)[0] == uniform(keys, step)[499]
        assert normal_pair(alone, step)[0][0] == normal_pair(keys, step)[0][499]
    others = [keys_of(8, NUMBERS, "flow"), keys_of(7, NUMBERS, "level"), keys_of(7, NUMBERS + 1, "flow")]
    assert all((uniform(keys, 5) != uniform(other, 5)).all() for other in others)
    assert (uniform(keys, 5) != uniform(keys, 6)).all()


def test_uniform_draws_fill_the_open_interval_evenly() -> None:
    keys = keys_of(1, NUMBERS, "any")
    drawn = np.concatenate([uniform(keys, step) for step in range(500)])

    counts = np.histogram(drawn, bins=20, range=(0, 1))[0] / len(drawn)
    assert 0 < drawn.min() < drawn.max() < 1
    assert abs(counts - 0.05).max() < 0.001


def test_normal_draws_have_the_moments_and_tails_of_a_normal_distribution_and_no_memory() -> None:
    keys = keys_of(1, NUMBERS, "any")
    drawn = np.array([normal_pair(keys, step) for step in range(500)])  # [step, one of two, pump]

    assert abs(drawn.mean()) < 0.005
    assert abs(drawn.std() - 1) < 0.005
    assert abs((drawn**4).mean() - 3) < 0.05
    assert abs((abs(drawn) > 3).mean() - 0.0027) < 0.0002
    assert abs(np.corrcoef(drawn[:, 0].ravel(), drawn[:, 1].ravel())[0, 1]) < 0.005
    assert abs(np.corrcoef(drawn[:-1, 0].ravel(), drawn[1:, 0].ravel())[0, 1]) < 0.005
