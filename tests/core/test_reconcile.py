"""Readings that came late: whatever was believed before, the alerts become those of in-order arrival."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from service.core.alert import Alert, AlertEvent, AlertState, Reason
from service.core.answers import acknowledge
from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import NotificationKind, pump_time, turn
from service.core.reading import position_of
from service.core.reconcile import InOrder, reconcile
from tests.episodes import at, given, ms, turned

STALL, UNDER, LOW = Condition.STALL, Condition.UNDER_DELIVERY, Condition.RESERVOIR_LOW
SINCE = 20


class Told:
    """The alerts of one pump, as turns and rebuilds make them."""

    def __init__(self) -> None:
        self.alerts: dict[object, Alert] = {}
        self.moves: list = []

    def believe(self, *turns: Change) -> None:
        for change in turns:
            own = [alert for alert in self.alerts.values() if alert.condition is change.condition]
            current = next((alert for alert in own if alert.state is not AlertState.RESOLVED), None)
            resolved = sorted((a for a in own if a is not current), key=lambda alert: alert.detected_position)
            move = turn(change, current, resolved[-1] if resolved else None, given(200), announced=True)
            self._take([move] if move else [])

    def learn(self, *turns: Change, held: frozenset[Condition] = frozenset(), since: int = SINCE) -> list:
        """What in-order evaluation gives after `since`; returns the moves that it takes."""
        position = position_of(7, since)
        moves = reconcile(
            self._seen(position), set(self.alerts), InOrder(position, held, turns), given(300, late_data=True)
        )
        self._take(moves)
        return moves

    def _seen(self, position: int) -> list[Alert]:
        """As the database selects them."""
        last = {
            alert.condition: alert
            for alert in sorted(self.alerts.values(), key=lambda alert: alert.detected_position)
            if alert.detected_position <= position
        }
        return [
            alert
            for alert in self.alerts.values()
            if alert.state is not AlertState.RESOLVED or alert.last_position > position or alert in last.values()
        ]

    def _take(self, moves: list) -> None:
        self.moves += moves
        self.alerts.update({move.alert.id: move.alert for move in moves})

    @property
    def open(self) -> list[tuple[Condition, AlertState]]:
        return [(a.condition, a.state) for a in self.alerts.values() if a.state is not AlertState.RESOLVED]


def an_episode(condition: Condition, began: int, ended: int | None = None, step: int | None = None) -> list[Change]:
    turns = [turned(Turn.BEGAN, began, condition, step=step)]
    return turns if ended is None else [*turns, turned(Turn.ENDED, ended, condition)]


def test_an_episode_that_goes_on_and_was_missed_is_announced_with_its_reason() -> None:
    pump = Told()
    [move] = pump.learn(*an_episode(STALL, 50))
    assert move.alert.reason is Reason.LATE_DATA
    assert move.alert.detected_at == at(50)
    assert move.tells is NotificationKind.ACTIVATED
    assert move.history.note == "late_data"


def test_an_episode_that_is_over_and_was_missed_is_kept_and_announced_to_nobody() -> None:
    pump = Told()
    moves = pump.learn(*an_episode(STALL, 50, 90))
    assert [move.history.event for move in moves] == [AlertEvent.CONDITION_BEGAN, AlertEvent.FOUND_LATE]
    assert [move.tells for move in moves] == [None, None]
    [alert] = pump.alerts.values()
    assert (alert.state, alert.priority, alert.found_late) == (AlertState.RESOLVED, Priority.LOW, True)
    assert (alert.began_at, alert.ended_at) == (at(50), at(90))


def test_an_alert_whose_condition_ended_in_order_ends_and_latches_where_it_would_have() -> None:
    pump = Told()
    pump.believe(*an_episode(STALL, 50), *an_episode(UNDER, 55))
    moves = pump.learn(*an_episode(STALL, 50, 90), *an_episode(UNDER, 40, 95))
    assert {move.history.event for move in moves} == {AlertEvent.CONDITION_ENDED}
    assert {move.alert.reason for move in moves} == {Reason.LATE_DATA}
    assert pump.open == [(STALL, AlertState.LATCHED)]


@pytest.mark.parametrize("ended", [None, 90], ids=["active", "latched"])
def test_an_alert_that_in_order_would_never_have_been_is_withdrawn_and_that_is_told(ended: int | None) -> None:
    pump = Told()
    pump.believe(*an_episode(STALL, 50, ended))
    [move] = pump.learn()
    assert move.history.event is AlertEvent.WITHDRAWN
    assert move.tells is NotificationKind.RESOLVED
    assert pump.open == []


def test_an_alert_that_ended_too_early_goes_on_under_a_new_id() -> None:
    pump = Told()
    pump.believe(*an_episode(UNDER, 10, 50))
    [move] = pump.learn(held=frozenset({UNDER}))
    [first, second] = pump.alerts.values()
    assert move.tells is NotificationKind.ACTIVATED
    assert first.state is AlertState.RESOLVED
    assert (second.previous_id, second.began_at, second.detected_at) == (first.id, first.began_at, first.detected_at)


def test_a_latched_alert_whose_condition_goes_on_is_active_again() -> None:
    pump = Told()
    pump.believe(*an_episode(STALL, 10, 50))
    [move] = pump.learn(held=frozenset({STALL}))
    assert move.history.event is AlertEvent.CONDITION_BEGAN
    assert pump.open == [(STALL, AlertState.ACTIVE)]
    assert len(pump.alerts) == 1


def test_an_alert_found_at_another_reading_keeps_its_acknowledgement_and_has_the_onset_of_in_order_arrival() -> None:
    pump = Told()
    pump.believe(*an_episode(STALL, 60))
    [alert] = pump.alerts.values()
    pump.alerts[alert.id] = acknowledge(alert, "ada", "", at(61)).alert
    [move] = pump.learn(*an_episode(STALL, 50))
    assert (move.history.event, move.tells) == (AlertEvent.ONSET_CORRECTED, None)
    assert (move.alert.id, move.alert.acknowledged_by, move.alert.reason) == (alert.id, "ada", Reason.LATE_DATA)
    assert (move.alert.began_at, move.alert.detected_at) == (at(50), at(50))
    assert move.alert.evidence["detected_ms"] == ms(at(50)), "which is what people are shown"


def test_an_alert_that_was_found_too_early_tells_of_the_episode_that_goes_on() -> None:
    pump = Told()
    pump.believe(*an_episode(STALL, 40))
    [move] = pump.learn(*an_episode(STALL, 30, 35), *an_episode(STALL, 50))[-1:]
    assert (move.history.event, move.alert.began_at) == (AlertEvent.ONSET_CORRECTED, at(50))


def test_a_corrected_onset_does_not_keep_a_rise_from_being_told() -> None:
    pump = Told()
    pump.believe(*an_episode(LOW, 50))
    moves = pump.learn(*an_episode(LOW, 45), turned(Turn.ROSE, 80, LOW, step=3))
    assert [move.history.event for move in moves] == [AlertEvent.ONSET_CORRECTED, AlertEvent.PRIORITY_ROSE]
    assert (moves[-1].alert.began_at, moves[-1].alert.priority) == (at(45), Priority.HIGH)


def test_the_highest_step_in_order_raises_the_priority() -> None:
    pump = Told()
    pump.believe(*an_episode(LOW, 50))
    [move] = pump.learn(*an_episode(LOW, 50), turned(Turn.ROSE, 80, LOW, step=3))
    assert move.tells is NotificationKind.PRIORITY_ROSE
    assert move.alert.priority is Priority.HIGH


def test_what_the_fold_does_not_decide_is_left_alone() -> None:
    pump = Told()
    pump.believe(*an_episode(Condition.SILENCE, 50), *an_episode(Condition.UNREGISTERED, 51))
    assert pump.learn() == []


@dataclass(frozen=True)
class Story:
    """A condition that began at minute 10, and went on past SINCE or not; when it turned then, as was first believed;
    and each time that readings came late, from which minute on the pump was rebuilt, and when it turned after that."""

    condition: Condition
    held: bool
    believed: list[int]
    learned: list[tuple[int, list[int]]]

    def turns(self, minutes: list[int]) -> list[Change]:
        kinds = [Turn.ENDED, Turn.BEGAN] if self.held else [Turn.BEGAN, Turn.ENDED]
        return [turned(kinds[number % 2], minute, self.condition) for number, minute in enumerate(minutes)]

    def held_after(self, minutes: list[int]) -> bool:
        return self.held != (len(minutes) % 2 == 1)


MINUTES = st.lists(st.integers(SINCE + 1, 100), unique=True, max_size=6).map(sorted)
STORIES = st.builds(
    Story,
    condition=st.sampled_from([STALL, UNDER]),
    held=st.booleans(),
    believed=MINUTES,
    learned=st.lists(st.tuples(st.integers(SINCE, 80), MINUTES), min_size=1, max_size=4),
)


def tells_of(alert: Alert, began: Change, ended: Change) -> bool:
    if alert.ended_at is None and alert.state is AlertState.RESOLVED:
        return alert.detected_position == began.position
    begins_before = alert.began_at <= pump_time(ended.at_ms)
    return begins_before and (alert.ended_at is None or alert.ended_at >= pump_time(began.began_ms))


@settings(max_examples=300, deadline=None)
@for_any(STORIES)
def test_whatever_was_believed_what_is_active_is_what_holds_in_order(story: Story) -> None:
    pump, condition = Told(), story.condition
    pump.believe(*an_episode(condition, 10, None if story.held else 15), *story.turns(story.believed))
    true = story.believed
    for since, minutes in story.learned:
        before = [minute for minute in true if minute <= since]
        true = before + [minute for minute in minutes if minute > since]
        held = frozenset({condition} if story.held_after(before) else ())
        in_order = story.turns(true)[len(before) :]
        pump.learn(*in_order, held=held, since=since)

        assert ((condition, AlertState.ACTIVE) in pump.open) == story.held_after(true)
        assert len(pump.open) <= 1
        for began, ended in pairwise(in_order):
            if began.turn is Turn.BEGAN:
                assert any(tells_of(alert, began, ended) for alert in pump.alerts.values())
        assert pump.learn(*in_order, held=held, since=since) == [], "a second look changes nothing"

    pump.believe(turned(Turn.ENDED if story.held_after(true) else Turn.BEGAN, 120, condition))
    assert ((condition, AlertState.ACTIVE) in pump.open) != story.held_after(true), "and evaluation goes on from there"
