"""A cause tells of its consequences while it lasts, and a consequence that outlasts it is told of after all."""

from dataclasses import replace

from service.core.alert import Alert
from service.core.causes import OUTLASTS_S, settle
from service.core.change import Condition, Priority
from service.core.lifecycle import NotificationKind
from tests.episodes import an_alert, at

EMPTY, STALL, UNDER = Condition.RESERVOIR_EMPTY, Condition.STALL, Condition.UNDER_DELIVERY


def settled(*alerts: Alert) -> dict[Condition, Alert]:
    """These alerts after all moves that follow from each other, of which there must be an end."""
    active = {alert.condition: alert for alert in alerts}
    active |= {move.alert.condition: move.alert for move in settle(active, at(40))}
    assert settle(active, at(41)) == []
    return active


def test_the_best_explanation_counts_and_an_explained_cause_explains_no_less() -> None:
    empty, stall, under = an_alert(30, EMPTY), an_alert(31), an_alert(32, UNDER)
    found = settled(empty, stall, under)
    assert (found[STALL].inhibited_by, found[UNDER].inhibited_by) == (empty.id, empty.id)
    assert settled(stall, under)[UNDER].inhibited_by == stall.id
    assert settled(found[STALL], found[UNDER])[UNDER].inhibited_by == stall.id


def test_a_consequence_that_outlasts_its_cause_is_told_of_a_while_later() -> None:
    under = replace(an_alert(32, UNDER), inhibited_by=an_alert(31).id)
    [move] = settle({UNDER: under}, at(40))
    assert (move.alert.inhibited_by, move.tells, move.hold_s) == (None, NotificationKind.ACTIVATED, OUTLASTS_S)


def test_what_is_less_urgent_explains_nothing_that_is_more_urgent() -> None:
    stall = replace(an_alert(31), priority=Priority.LOW)
    assert settled(stall, an_alert(32, UNDER))[UNDER].inhibited_by is None
