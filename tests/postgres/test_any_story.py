"""Any story at all, told to the database: no alert comes where it must not, and none is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from service.core.alert import LATCHING_TRANSITIONS, TRANSITIONS, AlertEvent, AlertState, IllegalTransitionError
from service.core.alert import AlreadyAcknowledgedError as AlreadyAcknowledged
from service.core.answers import ShelfRefusedError
from service.core.change import Condition, Turn
from service.core.delivery import ASKS_NOTHING
from tests.episodes import at, turned
from tests.postgres.ward import STORE, Ward

T = TypeVar("T")
CONDITIONS = (Condition.RESERVOIR_LOW, Condition.UNDER_DELIVERY, Condition.STALL)
REFUSED = (IllegalTransitionError, AlreadyAcknowledged, ShelfRefusedError)
ENDS_ACKNOWLEDGEMENT = {AlertEvent.CONDITION_BEGAN, AlertEvent.PRIORITY_ROSE, AlertEvent.TAKEN_BACK}
ENDS_SHELF = {AlertEvent.UNSHELVED, AlertEvent.PRIORITY_ROSE}
_ALERTS = "SELECT * FROM alert WHERE pump IS NOT NULL ORDER BY raised_at, id"
_HISTORY = "SELECT * FROM alert_history WHERE alert_id = $1 ORDER BY number"
_ASKED = "SELECT count(*) FROM notification WHERE alert_id = $1 AND kind <> ALL ($2::text[])"


class AnyStory(RuleBasedStateMachine):
    """One pump's alerts, whoever does whatever to them while time passes and endpoints fail; undone at the end."""

    run: ClassVar[Callable[[Awaitable[Any]], Any]]
    ward: ClassVar[Ward]
    pump: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.minute, self.reading = 30, 30
        self._all = self.ward.connection.transaction()
        self.run(self._all.start())

    @rule(what=st.sampled_from(Turn), condition=st.sampled_from(CONDITIONS), step=st.integers(1, 3))
    def a_condition_turns(self, what: Turn, condition: Condition, step: int) -> None:
        self.reading += 1
        self.run(self.ward.apply(turned(what, self.reading, condition, pump=self.pump, step=step), minute=self.minute))

    @rule(condition=st.sampled_from(CONDITIONS), what=st.sampled_from(["acknowledge", "reset", "unshelve"]))
    def somebody_answers(self, condition: Condition, what: str) -> None:
        for alert in self.alerts(condition)[-1:]:
            with suppress(*REFUSED):
                self.run(getattr(STORE, what)(self.ward.connection, alert["id"], "ada", "", at(self.minute)))

    @rule(condition=st.sampled_from(CONDITIONS), minutes=st.sampled_from([10, 45, 2000]))
    def somebody_shelves(self, condition: Condition, minutes: int) -> None:
        now, until = at(self.minute), at(self.minute + minutes)
        for alert in self.alerts(condition)[-1:]:
            with suppress(*REFUSED):
                self.run(STORE.shelve(self.ward.connection, alert["id"], "ada", "booked", now, until=until))

    @rule(name=st.sampled_from(["desk", "ada's phone", "head", "elsewhere"]))
    def it_arrives(self, name: str) -> None:
        self.run(self.ward.arrives(name))

    @rule()
    def nothing_arrives(self) -> None:
        self.run(self.ward.connection.execute("UPDATE notification SET failures = 2 WHERE state = 'pending'"))

    @rule(name=st.sampled_from(["desk", "ada's phone", "head"]))
    def an_endpoint_is_switched(self, name: str) -> None:
        self.run(self.ward.connection.execute("UPDATE endpoint SET enabled = NOT enabled WHERE name = $1", name))

    @rule(minutes=st.sampled_from([1, 5, 30, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.minute += minutes
        for _ in range(100):
            if not self.run(self.ward.look(self.minute)):
                break
        else:
            raise AssertionError("it is never done")
        late = [row["condition"] for row in self.waiting() if row["escalate_at"] <= at(self.minute)]
        assert late == [], "what is due is done"

    @invariant()
    def no_open_alert_is_without_a_deadline(self) -> None:
        for row in self.alerts():
            if row["state"] == AlertState.RESOLVED:
                assert row["escalate_at"] is None
        assert [row["condition"] for row in self.waiting() if row["escalate_at"] is None] == []

    @invariant()
    def the_history_replays_to_the_row(self) -> None:
        for row in self.alerts():
            history = self.run(self.ward.connection.fetch(_HISTORY, row["id"]))
            assert [each["number"] for each in history] == list(range(1, row["version"] + 1))
            assert (history[-1]["state"], history[-1]["priority"]) == (row["state"], row["priority"])
            state, by, shelved = None, None, False
            for each in history:
                event, reached = AlertEvent(each["event"]), AlertState(each["state"])
                if state is not None:
                    legal = {table.get((state, event)) for table in (TRANSITIONS, LATCHING_TRANSITIONS)}
                    assert reached in legal, f"{event} while {state}"
                state = reached
                by = (
                    each["actor"] if event is AlertEvent.ACKNOWLEDGED else None if event in ENDS_ACKNOWLEDGEMENT else by
                )
                shelved = event is AlertEvent.SHELVED or (shelved and event not in ENDS_SHELF)
            assert row["acknowledged_by"] == by
            assert (row["shelved_until"] is not None) == (shelved and state is not AlertState.RESOLVED)

    def teardown(self) -> None:
        """Left alone for two days, whatever is active and nobody has answered has asked again."""
        try:
            self.run(self.ward.connection.execute("UPDATE endpoint SET enabled = true"))
            before = {
                row["id"]: self.asked(row)
                for row in self.waiting()
                if row["state"] == AlertState.ACTIVE and row["shelved_until"] is None
            }
            for _ in range(2):
                self.run(self.ward.arrives())
                self.time_passes(24 * 60)
            forgotten = [row["condition"] for row in self.alerts() if self.asked(row) <= before.get(row["id"], -1)]
            assert forgotten == []
        finally:
            self.run(self._all.rollback())

    def alerts(self, condition: Condition | None = None) -> list[asyncpg.Record]:
        rows = self.run(self.ward.connection.fetch(_ALERTS))
        return [row for row in rows if condition in {None, row["condition"]}]

    def waiting(self) -> list[asyncpg.Record]:
        """Those that nobody has answered, and that no other alert tells of."""
        return [
            row
            for row in self.alerts()
            if row["state"] != AlertState.RESOLVED and row["acknowledged_at"] is None and row["inhibited_by"] is None
        ]

    def asked(self, row: asyncpg.Record) -> int:
        count: int = self.run(self.ward.connection.fetchval(_ASKED, row["id"], sorted(ASKS_NOTHING)))
        return count


def test_any_story_leaves_no_alert_where_it_must_not_be_and_none_forgotten(postgres_url: str) -> None:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres_url))
        try:
            AnyStory.run, AnyStory.ward = staticmethod(runner.run), Ward(connection)
            runner.run(AnyStory.ward.policy(remind_after_s=1800, answer_within_s=600))
            AnyStory.pump = runner.run(AnyStory.ward.pump())
            few = settings(
                max_examples=15,
                stateful_step_count=15,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            )
            run_state_machine_as_test(AnyStory, settings=few)
        finally:
            runner.run(connection.close())
