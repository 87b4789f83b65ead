"""Whom a move tells: the first step that reaches anybody, whoever was asked before, or nobody."""

from dataclasses import replace
from uuid import UUID

import pytest

from service.core.answers import acknowledge, reset
from service.core.change import Condition, Turn
from service.core.lifecycle import Move, begin, inhibit, rise
from service.core.policy import Policy, Rule, Step
from service.core.roster import Contact, Roster
from service.core.routing import Route
from service.core.telling import Asked, Book, tell
from tests.episodes import PUMP, an_alert, at, given, turned

DESK, HEAD, ADA = (UUID(int=number) for number in (1, 2, 3))
WARD = Policy(
    name="ward",
    steps=(Step(after_s=0, targets=("endpoint:desk",)), Step(after_s=300, targets=("contact:ada", "endpoint:head"))),
)
ROSTER = Roster(
    contacts={"ada": Contact(name="ada", endpoints=("phone",))}, policies={"ward": WARD}, rules=[Rule(policy="ward")]
)


def routes(*names: str) -> list[Route]:
    ids = {"desk": DESK, "head": HEAD, "phone": ADA}
    return [Route(ids[name], accepts_simulated=False, enabled=True, name=name) for name in names]


def told(*moves: Move, among: list[Route], asked: dict[UUID, Asked] | None = None) -> list[list[str]]:
    found = tell(moves, {PUMP.name: PUMP}, Book(ROSTER, among), asked or {}, at(31))
    return [[route.name for route in each.routes] for each in found]


def began(condition: Condition = Condition.STALL) -> Move:
    return begin(turned(Turn.BEGAN, 30, condition), None, given(31))


@pytest.mark.parametrize(
    ("among", "steps", "first"),
    [(["desk", "head", "phone"], 1, ["desk"]), (["head", "phone"], 2, ["head", "phone"]), ([], 1, [])],
)
def test_the_first_step_that_reaches_anybody_is_told(among: list[str], steps: int, first: list[str]) -> None:
    [found] = tell([began()], {PUMP.name: PUMP}, Book(ROSTER, routes(*among)), {}, at(31))
    progress = found.move.alert.escalation
    assert progress is not None
    assert progress.steps_told == steps
    assert sorted(route.name for route in found.routes) == first
    assert found.move.alert.escalate_at is not None


def test_a_rise_tells_whoever_was_asked_before_as_well() -> None:
    alert = an_alert(30, Condition.RESERVOIR_LOW, step=1)
    rose = rise(alert, turned(Turn.ROSE, 40, Condition.RESERVOIR_LOW, step=3), given(41))
    assert rose is not None
    everybody = routes("desk", "head", "phone")
    assert told(rose, among=everybody, asked={alert.id: Asked({HEAD}, {HEAD}, set())}) == [["desk", "head"]]


def test_an_answer_and_the_end_are_told_to_those_who_were_asked_and_to_nobody_else() -> None:
    alert = an_alert()
    everybody, asked = routes("desk", "head", "phone"), {alert.id: Asked({DESK, HEAD}, {HEAD}, {DESK})}
    assert told(acknowledge(alert, "ada", "", at(31)), among=everybody, asked=asked) == [["desk", "head"]]
    latched = replace(alert, state="latched")
    assert told(reset(latched, "ada", "", at(31)), among=everybody, asked=asked) == [["head"]]


def test_what_another_alert_tells_of_by_the_end_of_the_moves_is_told_to_nobody() -> None:
    begun = began()
    inhibited = inhibit(begun.alert, UUID(int=9), at(31))
    found = tell([begun, inhibited], {PUMP.name: PUMP}, Book(ROSTER, routes("desk")), {}, at(31))
    assert [list(each.routes) for each in found] == [[], []]
    assert found[-1].move.alert.escalate_at is None


def test_of_two_moves_at_once_the_second_knows_what_the_first_has_begun() -> None:
    begun = began(Condition.RESERVOIR_LOW)
    seen = acknowledge(begun.alert, "ada", "", at(31))
    assert told(begun, seen, among=routes("desk", "head")) == [["desk"], ["desk"]]
