"""What is known of a pump's conditions, now."""

from datetime import UTC, datetime, timedelta

from service.core.change import NOT_OF_A_PUMP, Condition
from service.core.verdicts import Known, Verdict, is_heard, verdicts_of

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
SINCE = NOW - timedelta(hours=1)
HOLDS, NOT, UNKNOWN, UNAVAILABLE = Verdict


def verdicts(**given: object) -> dict[Condition, Known]:
    facts: dict[str, object] = {
        "flow_channel": "sensor",
        "reservoir_channel": "sensor",
        "bolus_cap": True,
        "programmed": True,
        "registered": True,
        "silent_since": None,
        "heard": True,
    }
    written = given.pop("written", {})
    return verdicts_of(written, **(facts | given))


def test_every_condition_of_a_pump_that_is_heard_is_known() -> None:
    assert set(verdicts()) == set(Condition) - NOT_OF_A_PUMP
    assert set(verdicts().values()) == {Known(NOT)}


def test_a_written_verdict_stands_while_the_pump_is_heard() -> None:
    written = {"stall": Known(HOLDS, SINCE), "under_delivery": Known(UNKNOWN, SINCE)}
    found = verdicts(written=written)
    assert found[Condition.STALL] == Known(HOLDS, SINCE)
    assert found[Condition.UNDER_DELIVERY] == Known(UNKNOWN, SINCE)
    assert found[Condition.RESERVOIR_LOW] == Known(NOT)


def test_silence_makes_everything_else_unknown_whatever_was_written() -> None:
    written = {"stall": Known(HOLDS, SINCE), "reservoir_low": Known(NOT, SINCE)}
    found = verdicts(written=written, silent_since=SINCE)
    assert found.pop(Condition.SILENCE) == Known(HOLDS, SINCE)
    assert found.pop(Condition.UNREGISTERED) == Known(NOT)
    assert set(found.values()) == {Known(UNKNOWN, SINCE)}


def test_a_pump_that_is_overdue_is_not_green_before_its_silence_is_judged() -> None:
    found = verdicts(heard=False)
    assert found.pop(Condition.UNREGISTERED) == Known(NOT)
    assert set(found.values()) == {Known(UNKNOWN)}


def test_a_pump_is_heard_as_long_as_its_rules_allow() -> None:
    assert is_heard(NOW - timedelta(seconds=300), 300.0, NOW)
    assert not is_heard(NOW - timedelta(seconds=301), 300.0, NOW)
    assert not is_heard(None, 300.0, NOW)


def test_a_rotor_never_tells_of_over_delivery() -> None:
    for given in ({}, {"silent_since": SINCE}, {"written": {"over_delivery": Known(NOT, SINCE)}}):
        found = verdicts(flow_channel="rotor", **given)
        assert found[Condition.OVER_DELIVERY] == Known(UNAVAILABLE)
        assert found[Condition.OVER_DELIVERY_GROSS] == Known(UNAVAILABLE)


def test_that_a_pump_is_in_no_registry_is_known_even_in_silence() -> None:
    assert verdicts(registered=False, silent_since=SINCE)[Condition.UNREGISTERED].verdict is HOLDS


def test_what_no_channel_shows_is_not_available_and_what_the_facts_do_not_say_neither() -> None:
    found = verdicts(reservoir_channel="computed", bolus_cap=False)
    gone = {condition for condition, known in found.items() if known == Known(UNAVAILABLE)}
    assert gone == {Condition.LEVEL_DEVIATION, Condition.BOLUS_CAP, Condition.BOLUS_DENIED}


def test_nothing_is_known_of_the_flow_while_nothing_is_programmed_and_what_holds_goes_on() -> None:
    found = verdicts(programmed=False, written={"under_delivery": Known(HOLDS, SINCE)})
    assert found[Condition.STALL] == Known(UNKNOWN)
    assert found[Condition.UNDER_DELIVERY] == Known(HOLDS, SINCE)
    assert found[Condition.RESERVOIR_LOW] == Known(NOT)
    assert found[Condition.FLOW_WHILE_STOPPED] == Known(NOT)
