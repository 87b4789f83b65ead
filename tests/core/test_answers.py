"""What people and time make of an alert: a few stories, then any story at all, in which no escalation is ever lost."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.core.alert import Alert, AlertEvent, AlertState, AlreadyAcknowledgedError, IllegalTransitionError
from service.core.answers import AT_MOST, ShelfRefusedError, acknowledge, do, reset, shelve, take_out, unshelve
from service.core.change import Change, Condition, Turn
from service.core.escalation import awaits_answer, deadline, next_due
from service.core.lifecycle import HistoryRow, Move, turn
from service.core.policy import Policy, Rule, Step
from service.core.roster import Roster
from service.core.routing import Route
from service.core.telling import Asked, Book, tell
from tests.episodes import PUMP, an_alert, at, given, turned

LOW = Condition.RESERVOIR_LOW
WARD = Policy(
    name="ward",
    steps=(Step(after_s=0, targets=("endpoint:desk",)), Step(after_s=300, targets=("endpoint:head",))),
    remind_after_s=1800,
    answer_within_s=600,
)
BOOK = Book(
    Roster(policies={"ward": WARD}, rules=[Rule(policy="ward")]),
    [
        Route(UUID(int=number), accepts_simulated=False, enabled=True, name=name)
        for number, name in enumerate(["desk", "head"])
    ],
)


@pytest.mark.parametrize("condition", [Condition.STALL, Condition.RESERVOIR_EMPTY, Condition.OVER_DELIVERY_GROSS])
def test_what_must_be_heard_is_never_shelved(condition: Condition) -> None:
    with pytest.raises(ShelfRefusedError, match="is never shelved"):
        shelve(an_alert(30, condition), "ada", "why", at(32), at(31))


def test_an_alert_that_never_asked_has_nothing_due() -> None:
    alert = an_alert()
    assert deadline(alert) is None
    with pytest.raises(ValueError, match="has no policy"):
        do(alert, next_due_of_any(), at(31))


def next_due_of_any() -> Any:
    begun = tell([Move(an_alert(), a_row(), "activated")], {PUMP.name: PUMP}, BOOK, {}, at(31))[0].move.alert
    assert begun.escalation is not None
    return next_due(begun, begun.escalation, None)


def a_row() -> HistoryRow:
    move = turn(turned(Turn.BEGAN, 30), None, None, given(31), announced=False)
    assert move is not None
    return move.history


class AnyStory(RuleBasedStateMachine):
    """One condition of one pump, whoever does whatever to its alert, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.minute, self.reading = 30, 30
        self.alert: Alert | None = None
        self.resolved: Alert | None = None
        self.history: list[HistoryRow] = []
        self.asked = Asked()
        self.asks = 0

    @property
    def now(self) -> datetime:
        return at(self.minute)

    def took(self, move: Move | None) -> None:
        if move is None:
            return
        if move.begins:
            self.history, self.asked = [], Asked()
        [told] = tell([move], {PUMP.name: PUMP}, BOOK, {move.alert.id: self.asked}, self.now)
        self.asked.waiting.clear()  # everything arrives at once
        self.asked.attempted.update(self.asked.ever)
        self.asks += bool(told.routes)
        self.history.append(told.move.history)
        self.alert = told.move.alert
        if self.alert.state is AlertState.RESOLVED:
            self.alert, self.resolved = None, self.alert

    def turns(self, what: Turn, step: int) -> None:
        self.reading += 1
        change: Change = turned(what, self.reading, LOW, step=step)
        self.took(turn(change, self.alert, self.resolved, given(self.minute), announced=True))

    @rule(step=st.integers(1, 3))
    def condition_holds(self, step: int) -> None:
        self.turns(Turn.BEGAN if self.alert is None or self.alert.state is AlertState.LATCHED else Turn.ROSE, step)

    @precondition(lambda self: self.alert is not None)
    @rule()
    def condition_ends(self) -> None:
        self.turns(Turn.ENDED, 1)

    @precondition(lambda self: self.alert is not None)
    @rule(actor=st.sampled_from(["ada", "grace"]))
    def somebody_acknowledges(self, actor: str) -> None:
        if self.alert.acknowledged_at is not None and not awaits_answer(self.alert):
            with pytest.raises(AlreadyAcknowledgedError):
                acknowledge(self.alert, actor, "", self.now)
        else:
            self.took(acknowledge(self.alert, actor, "", self.now))

    @precondition(lambda self: self.alert is not None)
    @rule()
    def somebody_resets(self) -> None:
        if self.alert.state is AlertState.LATCHED:
            self.took(reset(self.alert, "ada", "", self.now))
        else:
            with pytest.raises(IllegalTransitionError):
                reset(self.alert, "ada", "", self.now)

    @precondition(lambda self: self.alert is not None)
    @rule(share=st.floats(0.01, 1.5))
    def somebody_shelves(self, share: float) -> None:
        until = self.now + AT_MOST[self.alert.priority] * share
        if self.alert.state is not AlertState.ACTIVE:
            with pytest.raises(IllegalTransitionError):
                shelve(self.alert, "ada", "booked", until, self.now)
        elif share > 1:
            with pytest.raises(ShelfRefusedError):
                shelve(self.alert, "ada", "booked", until, self.now)
        else:
            self.took(shelve(self.alert, "ada", "booked", until, self.now))

    @precondition(lambda self: self.alert is not None and self.alert.shelved_until is not None)
    @rule()
    def somebody_ends_the_shelf(self) -> None:
        self.took(unshelve(self.alert, "ada", "", self.now))

    @precondition(lambda self: self.alert is not None)
    @rule()
    def the_pump_goes_out_of_service(self) -> None:
        self.took(take_out(self.alert, self.now))

    @rule(minutes=st.sampled_from([1, 5, 30, 90, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        """As the watch does it: what is due is done, one deadline after the other."""
        self.minute += minutes
        for _ in range(10_000):
            alert = self.alert
            if alert is None or alert.escalate_at is None or alert.escalate_at > self.now:
                return
            if alert.shelved_until is not None:
                self.took(unshelve(alert, "rules", "", self.now))
                continue
            due = next_due(alert, alert.escalation, None)
            assert due is not None
            assert due.at == alert.escalate_at
            self.took(do(alert, due, self.now))
        raise AssertionError("it is never done")

    @invariant()
    def no_open_alert_is_forgotten(self) -> None:
        alert = self.alert
        if alert is None:
            assert self.resolved is None or self.resolved.escalate_at is None
            return
        assert alert.escalate_at == deadline(alert)
        if alert.acknowledged_at is None or alert.state is AlertState.ACTIVE:
            assert alert.escalate_at is not None
        assert alert.shelved_until is None or alert.escalate_at == alert.shelved_until
        assert alert.escalation is not None
        assert alert.escalation.told_at is not None
        assert self.asks > 0

    @invariant()
    def the_history_replays_to_the_row(self) -> None:
        alert = self.alert or self.resolved
        if alert is None:
            return
        assert [row.number for row in self.history] == list(range(1, alert.version + 1))
        assert (self.history[-1].state, self.history[-1].priority) == (alert.state, alert.priority)
        shelved, by = False, None
        for row in self.history:
            match row.event:
                case AlertEvent.SHELVED:
                    shelved = True
                case AlertEvent.UNSHELVED | AlertEvent.PRIORITY_ROSE:
                    shelved = False
            match row.event:
                case AlertEvent.ACKNOWLEDGED:
                    by = row.actor
                case AlertEvent.CONDITION_BEGAN | AlertEvent.PRIORITY_ROSE | AlertEvent.TAKEN_BACK:
                    by = None
        assert alert.acknowledged_by == by
        assert (alert.shelved_until is not None) == (shelved and alert.state is not AlertState.RESOLVED)

    def teardown(self) -> None:
        """Left alone for a day without a person, whatever is open has asked again."""
        if self.alert is None or self.alert.state is not AlertState.ACTIVE or self.alert.shelved_until is not None:
            return
        before = self.asks
        for _ in range(24):
            self.minute += 60
            self.time_passes(1)
        assert self.asks > before


TestAnyStory = AnyStory.TestCase
TestAnyStory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
