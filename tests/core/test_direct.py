"""What is told without the database, from its beginning to its end."""

from datetime import UTC, datetime, timedelta

from service.core.alert import alert_id
from service.core.change import Condition
from service.core.direct import Direct, Letter
from service.core.way import Broken

START = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
OUTAGE = Broken(
    condition=Condition.STORAGE_UNAVAILABLE,
    part="storage",
    since=START,
    evidence={"reason": "connection refused"},
    by_since=True,
)


def at(s: float) -> datetime:
    return START + timedelta(seconds=s)


def the_letter(direct: Direct, s: float, *broken: Broken) -> Letter:
    (letter,) = direct.look(broken, at(s))
    return letter


def test_it_is_told_until_it_has_arrived_again_while_it_lasts_and_when_it_is_over() -> None:
    direct = Direct("outage")
    first = the_letter(direct, 20, OUTAGE)
    said = first.body["data"]
    assert first.body["type"] == "alert.activated"
    assert said["what"].startswith("The database has not answered since 19:00 UTC (connection refused).")
    assert said["priority"] == "high"
    assert said["alert_id"] == str(
        alert_id("service:storage", Condition.STORAGE_UNAVAILABLE, int(START.timestamp() * 1000))
    ), "the alert that the database will have"
    assert the_letter(direct, 25, OUTAGE) == first, "equal bytes under one id"
    direct.arrived(first, at(26))
    assert direct.look([OUTAGE], at(325)) == []
    again = the_letter(direct, 326, OUTAGE)
    assert (again.body["type"], again.body["data"]["alert_id"]) == ("alert.repeated", said["alert_id"])
    direct.arrived(again, at(326))
    assert direct.look([OUTAGE], at(326 + 599)) == [], "ever more rarely"
    assert the_letter(direct, 326 + 600, OUTAGE).id != again.id
    over = the_letter(direct, 1000)
    assert (over.body["type"], over.body["data"]["state"]) == ("alert.resolved", "resolved")
    assert over.body["data"]["what"] == "The database answers again (seen at 19:16 UTC)."
    direct.arrived(over, at(1000))
    assert direct.look([], at(1001)) == []


def test_what_is_broken_again_before_its_end_has_arrived_is_told_of_anew() -> None:
    direct = Direct("outage")
    direct.arrived(the_letter(direct, 20, OUTAGE), at(20))
    assert the_letter(direct, 30).body["type"] == "alert.resolved"
    assert the_letter(direct, 60, OUTAGE).body["type"] == "alert.activated"
