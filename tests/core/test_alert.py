"""An alert's life, told event by event."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.core.alert import (
    LATCHING_TRANSITIONS,
    TRANSITIONS,
    Alert,
    AlertEvent,
    AlertState,
    IllegalTransitionError,
    advance,
    alert_id,
    draw,
)
from service.core.change import Condition
from tests.episodes import an_alert, at


def alert_after(*events: AlertEvent, latching: bool = False) -> Alert:
    """An alert that went through `events`, one a minute."""
    alert = replace(an_alert(0), latching=latching)
    for minute, event in enumerate(events, start=1):
        alert = advance(alert, event, at(minute))
    return alert


def test_a_latching_alert_outlives_its_condition_until_a_person_resets_it() -> None:
    ended = AlertEvent.CONDITION_ENDED

    assert alert_after(ended, latching=True).state is AlertState.LATCHED
    assert alert_after(ended, AlertEvent.RESET, latching=True).state is AlertState.RESOLVED
    assert alert_after(ended).state is AlertState.RESOLVED


@pytest.mark.parametrize("latching", [True, False])
@pytest.mark.parametrize("event", AlertEvent)
@pytest.mark.parametrize("state", AlertState)
def test_what_the_tables_do_not_name_is_refused(state: AlertState, event: AlertEvent, *, latching: bool) -> None:
    alert = replace(an_alert(), state=state, latching=latching)
    table = LATCHING_TRANSITIONS if latching else TRANSITIONS
    if (state, event) in table:
        assert advance(alert, event, at(40)).state is table[state, event]
    else:
        with pytest.raises(IllegalTransitionError, match=rf"{event} is not possible while {state}"):
            advance(alert, event, at(40))


def test_nothing_is_reopened() -> None:
    for table in (TRANSITIONS, LATCHING_TRANSITIONS):
        assert not [event for state, event in table if state is AlertState.RESOLVED]


def test_an_acknowledgement_covers_neither_a_return_nor_a_rise() -> None:
    acknowledged = replace(an_alert(), acknowledged_at=at(31), acknowledged_by="ada")
    latched = advance(acknowledged, AlertEvent.CONDITION_ENDED, at(32))

    assert latched.acknowledged_by == "ada"
    assert advance(latched, AlertEvent.CONDITION_BEGAN, at(33)).acknowledged_at is None
    assert advance(acknowledged, AlertEvent.PRIORITY_ROSE, at(33)).acknowledged_by is None


def test_the_time_in_a_state_counts_from_when_the_state_changed() -> None:
    rose = advance(an_alert(30), AlertEvent.PRIORITY_ROSE, at(40))
    assert rose.state_since == at(30)
    assert advance(rose, AlertEvent.CONDITION_ENDED, at(50)).state_since == at(50)


def test_the_same_episode_has_the_same_id_for_ever() -> None:
    assert str(alert_id("p000017", Condition.STALL, 7_696_581_412_474)) == "a4bc397e-9461-5b4f-9f44-1a4798afe653"
    assert alert_id("p000017", Condition.STALL, 1) != alert_id("p000017", Condition.STALL, 2)
    assert alert_id("p000017", Condition.STALL, 1) != alert_id("p000018", Condition.STALL, 1)


@pytest.mark.parametrize("table", [TRANSITIONS, LATCHING_TRANSITIONS], ids=["ordinary", "latching"])
def test_the_diagrams_in_the_documentation_are_those_of_the_tables(table: dict) -> None:
    page = Path(__file__).parents[2] / "docs" / "alerts.md"
    assert f"```mermaid\n{draw(table)}\n```" in page.read_text(encoding="utf-8")
