"""An MRI explains a stall for a while: until infusion has restarted, or should have."""

import numpy as np
import pytest

from service.core.change import Turn
from service.core.reading import EventType
from service.core.state import Field
from tests.histories import Happening, history, minutes
from tests.pumps import MINUTE_MS, NOON_MS, ROTOR, SENSOR, Pumps, minutes_after

BEGAN, ENDED = EventType.MRI_BEGAN, EventType.MRI_ENDED
EXAM: tuple[Happening, ...] = ((60, BEGAN), (100, ENDED))


def told(pumps: Pumps) -> list[tuple[str, int, float]]:
    return [(f"{change.condition} {change.turn}", change.step, minutes_after(change)) for change in pumps.turns]


@pytest.mark.parametrize("facts", [ROTOR, SENSOR])
def test_a_pump_that_restarts_after_its_exam_was_at_the_first_step_only(facts: object) -> None:
    pumps = Pumps(facts=facts)
    pumps.take(history(minutes((61, 1), (40, 0), (120, 1)), *EXAM))
    assert told(pumps) == [("stall began", 1, 89), ("stall ended", 1, 130)]
    assert pumps.turns[1].evidence["recovered_ms"] == NOON_MS + 100 * MINUTE_MS
    assert pumps.turns[0].began_ms == NOON_MS + 60 * MINUTE_MS


def test_one_that_does_not_restart_is_at_the_second_step_as_soon_as_two_minutes_show_it() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (240, 0)), *EXAM))
    assert told(pumps) == [
        ("stall began", 1, 89),
        ("stall rose", 2, 107),
    ]  # five minutes' grace after the exam, then two
    evidence = pumps.turns[1].evidence
    assert evidence["mri_log_ratio"] == -8
    assert evidence["mri_since_ms"] == 7 * MINUTE_MS


def test_one_that_restarts_hours_later_keeps_its_true_onset_and_end() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (400, 0), (60, 1)), *EXAM))
    assert [turn for turn, *_ in told(pumps)] == ["stall began", "stall rose", "stall ended"]
    ended = pumps.turns[2]
    assert ended.began_ms == NOON_MS + 60 * MINUTE_MS
    assert ended.evidence["recovered_ms"] == NOON_MS + 460 * MINUTE_MS


def test_a_flow_that_decides_nothing_is_held_for_ninety_minutes_and_no_longer() -> None:
    pumps = Pumps(facts=ROTOR)
    flow = minutes((61, 1), (45, 0)) + [0.0, 0.99] * 100  # after the exam, every other minute
    pumps.take(history(flow, *EXAM))
    rose = next(change for change in pumps.turns if change.turn is Turn.ROSE)
    assert minutes_after(rose) == pytest.approx(190, abs=2)


def test_a_stall_that_began_before_the_exam_is_not_explained_by_it() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((45, 1), (60, 0)), *EXAM))
    assert told(pumps)[0][:2] == ("stall began", 2)


def test_an_exam_long_ago_explains_nothing() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (40, 0), (300, 1), (60, 0)), *EXAM))
    assert [(turn, step) for turn, step, _ in told(pumps)] == [
        ("stall began", 1),
        ("stall ended", 1),
        ("stall began", 2),
    ]


def test_an_exam_of_which_no_end_is_told_explains_a_stall_for_two_hours() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (200, 0)), (60, BEGAN)))
    assert told(pumps) == [("stall began", 1, 89), ("stall rose", 2, 181)]


def test_a_second_stall_while_the_first_still_clears_is_at_the_second_step() -> None:
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (40, 0), (20, 1), (60, 0)), *EXAM))
    assert told(pumps) == [("stall began", 1, 89), ("stall rose", 2, 149)]


def test_the_exam_s_stop_is_no_flutter() -> None:
    pumps = Pumps(facts=ROTOR)
    happenings = [
        (minute + 5 * shift, kind) for minute in (60, 200, 340, 480) for shift, kind in ((0, BEGAN), (1, ENDED))
    ]
    flow = np.ones(700)
    for minute in (60, 200, 340, 480):
        flow[minute + 1 : minute + 6] = 0.0
    pumps.take(history(flow.tolist(), *happenings))
    assert pumps.turns == []


def test_noise_of_a_sensor_is_taken_for_what_it_is() -> None:
    """The test's promise (Wald): of a hundred pumps that restart, none is said to have not."""
    noise = np.random.default_rng(4)
    flow = np.clip(minutes((61, 1), (40, 0), (60, 1)) + 0.15 * noise.standard_normal((100, 161)), 0, None)
    pumps = Pumps(100)
    pumps.take(*(history(flow[pump].tolist(), *EXAM, pump=pump) for pump in range(100)))
    assert {(change.condition, change.step) for change in pumps.turns} == {("stall", 1)}
    assert (pumps.state[:, Field.MRI_PHASE] == 0).all()


def test_exams_that_are_said_to_begin_again_and_again_hold_a_stall_no_longer_than_the_longest_of_one() -> None:
    repeated: list[Happening] = [(60 + 30 * number, BEGAN) for number in range(20)]
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (640, 0)), *repeated))
    assert told(pumps) == [("stall began", 1, 89), ("stall rose", 2, 60 + 210 + 1)]
    ends: list[Happening] = [(60 + 30 * number, BEGAN if number % 2 == 0 else ENDED) for number in range(20)]
    pumps = Pumps(facts=ROTOR)
    pumps.take(history(minutes((61, 1), (45, 0)) + [0.0, 0.99] * 320, *ends))
    rose = [minutes_after(change) for change in pumps.turns if change.turn is Turn.ROSE]
    assert rose
    assert rose[0] <= 60 + 210 + 2


def test_an_exam_that_people_have_told_of_explains_a_stall_like_one_that_the_pump_tells_of() -> None:
    told_of = ROTOR._replace(mri_from_ms=NOON_MS + 60.0 * MINUTE_MS, mri_until_ms=NOON_MS + 100.0 * MINUTE_MS)
    said, unsaid = Pumps(facts=ROTOR), Pumps(facts=told_of)
    flow = minutes((61, 1), (240, 0))
    said.take(history(flow, *EXAM))
    unsaid.take(history(flow))
    assert [turn[:2] for turn in told(unsaid)] == [("stall began", 1), ("stall rose", 2)]
    assert told(unsaid) == told(said)
    quiet = Pumps(facts=ROTOR)
    quiet.take(history(flow))
    assert told(quiet)[0][:2] == ("stall began", 2)


def test_an_exam_that_people_have_told_of_explains_nothing_after_it() -> None:
    pumps = Pumps(facts=ROTOR._replace(mri_from_ms=float(NOON_MS), mri_until_ms=NOON_MS + 20.0 * MINUTE_MS))
    pumps.take(history(minutes((200, 1), (60, 0))))
    assert [turn[:2] for turn in told(pumps)] == [("stall began", 2)]
    again = Pumps(facts=ROTOR._replace(mri_from_ms=float(NOON_MS), mri_until_ms=NOON_MS + 300.0 * MINUTE_MS))
    again.take(history(minutes((10, 1), (400, 0))))
    # As long as it lasts, but not longer than an exam and its grace can be.
    assert [turn[:2] for turn in told(again)] == [("stall began", 1), ("stall rose", 2)]
    assert told(again)[1][2] < 10 + 120 + 90 + 5
