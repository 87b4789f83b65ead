"""Drug reaches the patient when it has filled the dead volume, and only what does not leak on the way."""

import numpy as np
import pytest

from tests.simulators.bench import MINUTE_MS, pumps, run


@pytest.mark.parametrize(("program_ml_d", "hours"), [(0.1, 48.0), (0.3, 16.0), (0.5, 9.6), (1.0, 4.8)])
def test_two_hundred_microlitres_of_dead_volume_delay_the_drug_as_published(program_ml_d: float, hours: float) -> None:
    fleet = pumps(1, program_ml_d, dead_ul=200.0)
    twelfths = 0
    while fleet.reached_ul[0] == 0:
        run(fleet, 1, 5 * MINUTE_MS)
        twelfths += 1

    assert twelfths / 12 == pytest.approx(hours, abs=1 / 6)
    run(fleet, 600)
    assert fleet.reached_ul[0] == pytest.approx(fleet.true_ul[0] - 200.0)


def test_half_of_a_leaking_catheter_s_drug_is_late_and_the_other_half_never_comes() -> None:
    leaking = pumps(1, 0.5, dead_ul=200.0)

    run(leaking, 1152, leak=0.5)  # 19.2 h: twice as long as without a leak
    before = float(leaking.reached_ul[0])
    run(leaking, 576, leak=0.5)

    assert before == pytest.approx(0.0, abs=0.01)
    assert leaking.reached_ul[0] == pytest.approx(100.0, abs=0.01)
    assert leaking.true_ml[0] == pytest.approx(20.0 - 0.6)  # the reservoir falls as ever


def test_another_drug_has_the_whole_way_before_it() -> None:
    fleet = pumps(2, 0.5, dead_ul=100.0)
    run(fleet, 720)
    fleet.catheters.change_drug(0)
    run(fleet, 720)

    # The change loses sight of what was on its way: 100 uL of the old drug still come, and are not this drug.
    assert fleet.reached_ul == pytest.approx([300.0, 400.0], abs=0.01)
    assert np.ptp(fleet.true_ul) == 0
    run(fleet, 1, MINUTE_MS)
    assert fleet.reached_ul[0] > 300.0
