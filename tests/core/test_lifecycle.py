"""What turns and people make of alerts: one story each, then any story at all."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.core.alert import (
    LATCHING_TRANSITIONS,
    TRANSITIONS,
    Alert,
    AlertEvent,
    AlertState,
    AlreadyAcknowledgedError,
    IllegalTransitionError,
    Reason,
)
from service.core.answers import acknowledge, reset
from service.core.change import Change, Condition, Priority, Turn
from service.core.lifecycle import HistoryRow, Move, NotificationKind, turn
from service.core.reading import DrugClass
from tests.episodes import PUMP, an_alert, at, given, ms, turned

LOW = Condition.RESERVOIR_LOW
UNDER = Condition.UNDER_DELIVERY


def moved(change: Change, current: Alert | None, minute: float, **options: Any) -> Move:
    move = turn(change, current, options.pop("previous", None), given(minute), announced=options.pop("announced", True))
    assert move is not None
    return move


def test_an_onset_makes_an_alert_with_both_clocks_and_its_evidence() -> None:
    move = moved(turned(Turn.BEGAN, 30, began=10, missed_ul=10.4), None, 31)

    alert = move.alert
    assert (alert.state, alert.priority, alert.latching) == (AlertState.ACTIVE, Priority.HIGH, True)
    assert (alert.began_at, alert.detected_at, alert.raised_at) == (at(10), at(30), at(31))
    assert alert.evidence["missed_ul"] == 10.4
    assert move.tells is NotificationKind.ACTIVATED
    assert (move.history.event, move.history.number) == (AlertEvent.CONDITION_BEGAN, 1)
    assert move.history.position == alert.detected_position


def test_priority_depends_on_the_drug() -> None:
    ziconotide = given(31, pump=replace(PUMP, drug_class=DrugClass.ZICONOTIDE))
    move = turn(turned(Turn.BEGAN, 30), None, None, ziconotide, announced=False)
    assert move is not None
    assert (move.alert.priority, move.alert.latching) == (Priority.MEDIUM, False)


def test_a_condition_that_comes_back_while_latched_makes_the_same_alert_active_and_asks_again() -> None:
    alert = acknowledge(an_alert(30), "ada", "", at(32)).alert
    latched = moved(turned(Turn.ENDED, 60), alert, 60)
    assert latched.tells is None
    assert latched.alert.acknowledged_by == "ada"

    back = moved(turned(Turn.BEGAN, 90), latched.alert, 90)
    assert back.alert.id == alert.id
    assert back.alert.state is AlertState.ACTIVE
    assert back.alert.acknowledged_at is back.alert.ended_at is None
    assert back.tells is NotificationKind.ACTIVATED


def test_a_condition_that_comes_back_after_resolution_is_a_new_alert_that_names_the_last_for_a_day() -> None:
    first = moved(turned(Turn.ENDED, 60, UNDER), an_alert(30, UNDER), 60)
    assert first.tells is NotificationKind.RESOLVED

    again = moved(turned(Turn.BEGAN, 90, UNDER), None, 90, previous=first.alert)
    assert again.alert.id != first.alert.id
    assert again.alert.previous_id == first.alert.id
    days_later = moved(turned(Turn.BEGAN, 60 + 24 * 60 + 1, UNDER), None, 3000, previous=first.alert)
    assert days_later.alert.previous_id is None


def test_a_rise_asks_again_and_may_make_the_alert_latch() -> None:
    low = acknowledge(an_alert(30, LOW), "ada", "", at(31)).alert
    assert (low.priority, low.latching) == (Priority.LOW, False)

    high = moved(turned(Turn.ROSE, 90, LOW, step=3), low, 90)
    assert (high.alert.priority, high.alert.latching) == (Priority.HIGH, True)
    assert high.alert.acknowledged_at is None
    assert high.tells is NotificationKind.PRIORITY_ROSE
    assert turn(turned(Turn.ROSE, 99, LOW, step=2), high.alert, None, given(99), announced=True) is None


def test_what_was_applied_before_changes_nothing() -> None:
    began, ended = turned(Turn.BEGAN, 30, UNDER), turned(Turn.ENDED, 60, UNDER)
    active = moved(began, None, 30).alert
    resolved = moved(ended, active, 60).alert

    assert turn(began, active, None, given(61), announced=True) is None
    assert turn(began, None, resolved, given(61), announced=True) is None
    assert turn(ended, None, resolved, given(61), announced=True) is None
    assert turn(ended, None, None, given(61), announced=True) is None


def test_silence_turns_twice_at_the_last_position_heard() -> None:
    began = turned(Turn.BEGAN, 30, Condition.SILENCE)
    silent = moved(began, None, 33).alert
    risen = moved(replace(began, turn=Turn.ROSE, step=2), silent, 800).alert
    assert risen.priority is Priority.MEDIUM
    heard = moved(replace(began, turn=Turn.ENDED), risen, 900).alert
    assert heard.state is AlertState.RESOLVED
    assert turn(began, None, heard, given(901), announced=True) is None


def test_delayed_data_is_held_and_what_is_over_by_then_is_found_late_and_announced_to_nobody() -> None:
    began = moved(turned(Turn.BEGAN, 30, delayed=True), None, 500)
    assert began.hold_s == 10
    assert began.alert.reason is Reason.DELAYED

    over = moved(turned(Turn.ENDED, 90, delayed=True), began.alert, 500.1, announced=False)
    assert (over.alert.state, over.alert.found_late) == (AlertState.RESOLVED, True)
    assert (over.alert.priority, over.tells) == (Priority.LOW, None)
    assert over.history.event is AlertEvent.FOUND_LATE
    assert over.alert.ended_at == at(90)


@pytest.mark.parametrize(("minute", "announced"), [(500.1, True), (501, False)], ids=["announced", "ten seconds later"])
def test_a_delayed_episode_that_people_may_know_of_ends_as_any_other(minute: float, *, announced: bool) -> None:
    began = moved(turned(Turn.BEGAN, 30, delayed=True), None, 500)
    over = moved(turned(Turn.ENDED, 90, delayed=True), began.alert, minute, announced=announced)
    assert (over.alert.state, over.alert.found_late) == (AlertState.LATCHED, False)


def test_a_second_acknowledgement_is_refused_with_the_name_of_the_first() -> None:
    alert = acknowledge(an_alert(), "ada", "on my way", at(31)).alert
    with pytest.raises(AlreadyAcknowledgedError, match="ada") as refused:
        acknowledge(alert, "grace", "", at(32))
    assert (refused.value.by, refused.value.at) == ("ada", at(31))


def test_only_what_is_open_can_be_acknowledged_and_only_what_is_latched_reset() -> None:
    active = an_alert()
    with pytest.raises(IllegalTransitionError, match="reset is not possible while active"):
        reset(active, "ada", "", at(31))
    latched = moved(turned(Turn.ENDED, 60), active, 60).alert
    assert acknowledge(latched, "ada", "", at(61)).tells is NotificationKind.ACKNOWLEDGED
    resolved = reset(latched, "ada", "seen", at(62))
    assert (resolved.tells, resolved.history.actor, resolved.history.note) == (NotificationKind.RESOLVED, "ada", "seen")
    with pytest.raises(IllegalTransitionError, match="acknowledged is not possible while resolved"):
        acknowledge(resolved.alert, "ada", "", at(63))


def replayed(history: list[HistoryRow]) -> tuple[AlertState, Priority, str | None]:
    """What the history alone says of its alert."""
    state, priority, acknowledged_by = AlertState.ACTIVE, history[0].priority, None
    for row in history[1:]:
        table = LATCHING_TRANSITIONS if priority is Priority.HIGH else TRANSITIONS
        state, priority = table[state, row.event], row.priority
        if row.event is AlertEvent.ACKNOWLEDGED:
            acknowledged_by = row.actor
        elif row.event in {AlertEvent.CONDITION_BEGAN, AlertEvent.PRIORITY_ROSE}:
            acknowledged_by = None
    return state, priority, acknowledged_by


class Lives(RuleBasedStateMachine):
    """Any sequence of turns, replays and commands on one condition of one pump."""

    def __init__(self) -> None:
        super().__init__()
        self.minute = 0
        self.holds = False
        self.step = 0
        self.turns: list[Change] = []
        self.current: Alert | None = None
        self.previous: Alert | None = None
        self.history: dict[Any, list[HistoryRow]] = {}
        self.rows: dict[Any, Alert] = {}
        self.told: dict[Any, list[NotificationKind]] = {}

    @property
    def now(self) -> float:
        """Our clock, in minutes: three seconds from turn to turn, so that ten may or may not have passed."""
        return self.minute / 20

    def took(self, move: Move | None) -> None:
        if move is None:
            return
        alert = move.alert
        self.history.setdefault(alert.id, []).append(move.history)
        self.rows[alert.id] = alert
        self.told.setdefault(alert.id, []).extend([move.tells] if move.tells else [])
        self.current = alert if alert.state is not AlertState.RESOLVED else None
        self.previous = alert if alert.state is AlertState.RESOLVED else self.previous

    def turns_to(self, kind: Turn, step: int, *, delayed: bool, announced: bool) -> None:
        self.minute += 1
        change = turned(kind, self.minute, LOW, step=step, delayed=delayed)
        self.turns.append(change)
        self.took(turn(change, self.current, self.previous, given(self.now), announced=announced))

    @precondition(lambda self: not self.holds)
    @rule(step=st.integers(1, 3), delayed=st.booleans())
    def begins(self, step: int, *, delayed: bool) -> None:
        self.turns_to(Turn.BEGAN, step, delayed=delayed, announced=True)
        self.holds, self.step = True, step

    @precondition(lambda self: self.holds and self.step < 3)
    @rule()
    def rises(self) -> None:
        self.step += 1
        self.turns_to(Turn.ROSE, self.step, delayed=False, announced=True)

    @precondition(lambda self: self.holds)
    @rule(announced=st.booleans())
    def ends(self, *, announced: bool) -> None:
        self.turns_to(Turn.ENDED, 1, delayed=False, announced=announced)
        self.holds = False

    @precondition(lambda self: self.turns)
    @rule(number=st.integers(0, 1000))
    def is_replayed(self, number: int) -> None:
        change = self.turns[number % len(self.turns)]
        assert turn(change, self.current, self.previous, given(self.now), announced=True) is None

    @precondition(lambda self: self.current)
    @rule(actor=st.sampled_from(["ada", "grace"]))
    def somebody_acknowledges(self, actor: str) -> None:
        assert self.current is not None
        if self.current.acknowledged_at is None:
            self.took(acknowledge(self.current, actor, "", at(self.now)))
        else:
            with pytest.raises(AlreadyAcknowledgedError):
                acknowledge(self.current, actor, "", at(self.now))

    @precondition(lambda self: self.current)
    @rule()
    def somebody_resets(self) -> None:
        assert self.current is not None
        if self.current.state is AlertState.LATCHED:
            self.took(reset(self.current, "ada", "", at(self.now)))
        else:
            with pytest.raises(IllegalTransitionError):
                reset(self.current, "ada", "", at(self.now))

    @invariant()
    def an_alert_is_active_exactly_while_its_condition_holds(self) -> None:
        assert (self.current is not None and self.current.state is AlertState.ACTIVE) == self.holds

    @invariant()
    def at_most_one_alert_is_open(self) -> None:
        assert sum(alert.state is not AlertState.RESOLVED for alert in self.rows.values()) <= 1

    @invariant()
    def the_history_replays_to_the_row(self) -> None:
        for key, history in self.history.items():
            alert = self.rows[key]
            assert [row.number for row in history] == list(range(1, alert.version + 1))
            assert replayed(history) == (alert.state, alert.priority, alert.acknowledged_by)
            assert (alert.resolved_at is not None) == (alert.state is AlertState.RESOLVED)

    @invariant()
    def resolved_is_said_last_and_once(self) -> None:
        for kinds in self.told.values():
            assert kinds[0] is NotificationKind.ACTIVATED
            assert NotificationKind.RESOLVED not in kinds[:-1]


Lives.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_any_life_is_legal_and_its_history_tells_it = Lives.TestCase


def test_a_stall_that_is_over_says_since_when_the_pump_flows_again() -> None:
    ended = turn(turned(Turn.ENDED, 60, recovered_ms=ms(at(30))), an_alert(10), None, given(61), announced=True)
    assert ended is not None
    assert ended.alert.evidence["recovered_ms"] == ms(at(30))
