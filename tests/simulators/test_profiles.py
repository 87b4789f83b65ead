"""Every profile ends by itself, after the time that it was given."""

import pytest

from simulators.profiles import PROFILES, stages_of


@pytest.mark.parametrize("profile", PROFILES)
def test_the_stages_of_a_profile_take_the_time_that_was_asked_for(profile: str) -> None:
    stages = stages_of(profile, 90.0, 5.0)

    assert sum(stage.lasts_s for stage in stages) == pytest.approx(90.0)
    assert all(stage.lasts_s > 0 for stage in stages)


def test_each_profile_does_what_it_is_named_for() -> None:
    assert any(stage.joins for stage in stages_of("ramp", 60, 5))
    assert [stage.faster for stage in stages_of("spike", 60, 5)] == [1, 5, 1]
    assert [stage.drops for stage in stages_of("storm", 60, 5)] == [False, True, True]
