"""Escalation: up the steps until somebody answers, at once where nobody can be reached, and again after that."""

from dataclasses import replace
from datetime import timedelta

from service.core.alert import Alert, AlertState
from service.core.escalation import Deed, Due, answered, begin, done, next_due
from service.core.policy import Policy, Step
from service.core.progress import Progress
from tests.episodes import an_alert, at

POLICY = Policy(
    name="ward",
    steps=(
        Step(after_s=0, targets=("endpoint:desk",)),
        Step(after_s=300, targets=("endpoint:ward", "rota:night")),
        Step(after_s=900, targets=("endpoint:desk", "contact:head")),
    ),
    repeat_after_s=600,
    repeat_at_most_s=1500,
)
START = at(30)
ALERT = an_alert(30)


def through(alert: Alert, progress: Progress, deeds: int) -> list[tuple[Deed, float, tuple[str, ...]]]:
    """The next deeds, each done on time: what, after how many seconds, whom."""
    told = []
    for _ in range(deeds):
        due = next_due(alert, progress, None)
        assert due is not None
        told.append((due.deed, (due.at - START).total_seconds(), due.targets))
        progress = done(progress, due, due.at)
    return told


def test_it_climbs_the_steps_and_then_says_it_again_at_growing_intervals() -> None:
    progress, first = begin(POLICY, START)
    assert first == ("endpoint:desk",)
    everybody = ("endpoint:desk", "endpoint:ward", "rota:night", "contact:head")
    assert through(ALERT, progress, 5) == [
        (Deed.ESCALATE, 300, ("endpoint:ward", "rota:night")),
        (Deed.ESCALATE, 900, ("endpoint:desk", "contact:head")),
        (Deed.REPEAT, 1500, everybody),
        (Deed.REPEAT, 2700, everybody),
        (Deed.REPEAT, 4200, everybody),  # at most 25 minutes apart
    ]


def test_where_nobody_can_be_reached_the_next_step_is_told_at_once_and_not_all_of_them() -> None:
    progress, _ = begin(POLICY, START)
    unreached = START + timedelta(seconds=10)
    due = next_due(ALERT, progress, unreached)
    assert due is not None
    assert (due.deed, due.at) == (Deed.ESCALATE, unreached)
    progress = done(progress, due, unreached + timedelta(seconds=1))
    after = next_due(ALERT, progress, None)  # of the second step nothing is known yet
    assert after is not None
    assert after.at == START + timedelta(seconds=900)


def test_an_acknowledgement_stops_it_and_a_reminder_without_an_answer_takes_it_back() -> None:
    progress, _ = begin(POLICY, START)
    seen = replace(ALERT, acknowledged_at=START + timedelta(minutes=2), acknowledged_by="ada")
    remind = next_due(seen, progress, START)
    assert remind is not None
    assert (remind.deed, remind.at) == (Deed.REMIND, START + timedelta(hours=4, minutes=2))
    reminded = done(progress, remind, remind.at)
    back = next_due(seen, reminded, None)
    assert back is not None
    assert (back.deed, back.at) == (Deed.TAKE_BACK, remind.at + timedelta(minutes=15))
    climbing = done(reminded, back, back.at)
    resumed = next_due(replace(seen, acknowledged_at=None), climbing, None)
    assert resumed is not None
    assert (resumed.deed, resumed.at) == (Deed.ESCALATE, back.at + timedelta(seconds=300))


def test_an_answer_to_a_reminder_begins_the_wait_for_the_next_one_anew() -> None:
    progress, _ = begin(POLICY, START)
    seen = replace(ALERT, acknowledged_at=START + timedelta(hours=5), acknowledged_by="ada")
    reminded = done(progress, Due(START + timedelta(hours=4), Deed.REMIND), START + timedelta(hours=4))
    due = next_due(seen, answered(reminded), None)
    assert due is not None
    assert (due.deed, due.at) == (Deed.REMIND, START + timedelta(hours=9))


def test_what_is_over_needs_nobody_and_what_is_latched_still_needs_somebody() -> None:
    progress, _ = begin(POLICY, START)
    assert next_due(replace(ALERT, state=AlertState.RESOLVED), progress, None) is None
    latched = replace(ALERT, state=AlertState.LATCHED)
    assert next_due(latched, progress, None) is not None
    assert next_due(replace(latched, acknowledged_at=START), progress, None) is None
