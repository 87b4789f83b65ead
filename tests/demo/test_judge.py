"""The demo's verdict: every due fault raised and told, and nothing else raised."""

from service.demo.judge import Label, Raised, Told, judge

ENDED_MS = 100_000


def label(pump_id: str = "p1", fault: str = "stall", **changes: object) -> Label:
    given = {"expected": [fault], "allowed": ["under_delivery"], "announced": True, "due_ms": 50_000} | changes
    return Label(pump_id=pump_id, fault=fault, onset_ms=10_000, end_ms=None, **given)


def alert(pump_id: str = "p1", condition: str = "stall", raised_ms: int = 60_000) -> Raised:
    return Raised(f"{pump_id}-{condition}", pump_id, condition, "high", "active", raised_ms, found_late=False)


def told(of: Raised, kind: str = "alert.activated") -> Told:
    return Told(of.alert_id, kind, of.raised_ms + 50)


def test_a_fault_that_was_raised_and_told_is_well() -> None:
    assert judge([label()], [alert()], [told(alert())], ENDED_MS).problems() == []


def test_a_due_fault_without_alert_is_a_problem_and_one_due_later_is_not() -> None:
    assert judge([label()], [], [], ENDED_MS).problems() == ["p1: stall is due and raised no stall"]
    assert judge([label(due_ms=ENDED_MS + 1), label("p2", due_ms=None)], [], [], ENDED_MS).well


def test_the_clinic_must_have_heard_unless_it_was_over_before_the_pumps_went_live() -> None:
    untold = judge([label()], [alert()], [told(alert(), "alert.resolved")], ENDED_MS)
    assert untold.problems() == ["p1: the clinic was not told of stall"]
    assert judge([label(announced=False)], [alert()], [], ENDED_MS).well


def test_the_clinic_has_heard_of_a_consequence_by_its_cause() -> None:
    cause = alert(condition="over_delivery_gross")
    consequence = alert(condition="over_delivery")._replace(told_by=cause.alert_id)
    both, expected = [cause, consequence], label(fault="over_delivery", allowed=["over_delivery_gross"])
    assert judge([expected], both, [told(cause)], ENDED_MS).well
    assert judge([expected], both, [], ENDED_MS).problems() == ["p1: the clinic was not told of over_delivery"]


def test_what_may_be_raised_besides_is_no_problem_and_anything_else_is() -> None:
    also = [alert(), alert(condition="under_delivery")]
    assert judge([label()], also, [told(alert())], ENDED_MS).well
    for false in (alert(condition="over_delivery"), alert("p9")):
        found = judge([label()], [alert(), false], [told(alert())], ENDED_MS)
        assert found.false_alerts == [false]
        assert not found.well


def test_the_silence_of_a_fleet_that_has_ended_is_not_false() -> None:
    after = [alert("p9", "silence", ENDED_MS + 1), alert("site:north", "site_silence", ENDED_MS + 1)]
    assert judge([label()], [alert(), *after], [told(alert())], ENDED_MS).well
    before = alert("p9", "silence", ENDED_MS - 1)
    assert not judge([label()], [alert(), before], [told(alert())], ENDED_MS).well


def test_a_pump_may_have_several_labels() -> None:
    low = label(fault="reservoir_low", allowed=[])
    alerts = [alert(), alert(condition="reservoir_low")]
    assert judge([label(), low], alerts, map(told, alerts), ENDED_MS).well
