"""How much is asked of people, over HTTP and from the command line."""

from service.core.change import Condition, Turn
from service.core.reading import position_of
from tests.api.ward import Ward, enter, problem, raise_alert, turn
from tests.commands.here import ran_beside

CLINIC = {"name": "phone", "url": "https://clinic.example/hook"}


async def test_it_counts_alerts_a_pump_day_who_was_told_and_how_long_answers_took(
    ward: Ward, postgres_url: str
) -> None:
    await ward.administrator.post("/endpoints", json=CLINIC)
    await ward.administrator.put("/escalation/contacts/ada", json={"endpoints": ["phone"]})
    pumps = await enter(ward, "p1", "p2")
    ids = [await raise_alert(ward, turn(pump, Condition.UNDER_DELIVERY)) for pump in pumps.values()]
    ward.clock.advance(90)
    await ward.clinician.post(f"/alerts/{ids[0]}/acknowledge")
    for number in range(8):
        what = Turn.ENDED if number % 2 == 0 else Turn.BEGAN
        position = position_of(7, 18043 + number)
        await raise_alert(ward, turn(pumps["p2"], Condition.UNDER_DELIVERY, what, position))
    ward.clock.advance(25 * 3600)

    found = (await ward.viewer.get("/burden", params={"since": "2026-11-22T12:00:00Z"})).json()
    assert (found["pumps"], found["alerts"], found["asked"], found["answered"]) == (
        2,
        6,
        2,
        1,
    )  # what is over before anybody was tried is told to nobody
    assert found["answer_p50_s"] == found["answer_p90_s"] == 90
    assert found["alerts_per_pump_day"] > 0
    [condition] = found["by_condition"]
    assert (condition["condition"], condition["alerts"], condition["chattering"]) == ("under_delivery", 6, 2)
    assert found["by_contact"] == [{"contact": "ada", "told": found["by_endpoint"][0]["told"]}]
    assert [each["subject"] for each in found["chattering"]] == ["pump:p2"]
    assert found["long_standing"][0]["acknowledged_by"] == "the-clinician"
    refused = await ward.viewer.get("/burden", params={"since": "2027-11-22T12:00:00Z"})
    assert "before until" in problem(refused, 422)["detail"]

    said = await ran_beside("alerts", "burden", "--days", "100000", "--database-url", postgres_url)
    assert said.code == 0, said.err
    assert said.out.splitlines()[0].startswith("6 alerts of 2 pumps: ")
    assert "half of these within 0:01:30" in said.out
