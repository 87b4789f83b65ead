"""What was sent to whom, over HTTP, and sending it again."""

from datetime import UTC, datetime

import asyncpg
import pytest

from service.core.change import Condition, Turn
from tests.api.ward import Ward, enter, problem, raise_alert, turn
from tests.loops.worker import working
from tests.webhooks.endpoint import Endpoint, answers
from tests.webhooks.rows import Rows

WAITS_S = {"high": (0.0,), "medium": (0.0,), "low": (0.0,)}


@pytest.fixture
async def rows(ward: Ward, postgres_url: str) -> Rows:
    pool = await asyncpg.create_pool(postgres_url, min_size=0, max_size=2)
    return Rows(pool)


async def until_told(ward: Ward, postgres_url: str, rows: Rows) -> None:
    async with working(postgres_url, waits_s=WAITS_S):
        await rows.until_settled()


async def test_what_was_given_up_is_listed_shown_with_its_answers_and_sent_again_under_its_id(
    ward: Ward, postgres_url: str, rows: Rows
) -> None:
    ward.clock.now = datetime.now(UTC)  # patience runs by the database's clock: made hours ago, it would be over
    keys = await enter(ward, "p1")
    async with Endpoint() as endpoint:
        endpoint.conduct_of = lambda _: answers(422, b"who is p1?")
        await rows.an_endpoint(endpoint, name="clinic")
        alert_id = await raise_alert(ward, turn(keys["p1"], Condition.STALL))
        await until_told(ward, postgres_url, rows)

        page = (await ward.viewer.get("/deliveries", params={"state": "failed", "endpoint": "clinic"})).json()
        [given_up] = page["items"]
        assert (given_up["alert_id"], given_up["attempts"], given_up["last_outcome"]) == (alert_id, 2, "refused")
        for empty in (
            {"outcome": "timed_out"},
            {"state": "delivered"},
            {"endpoint": "x"},
            {"since": "2100-01-01T00:00:00Z"},
        ):
            assert (await ward.viewer.get("/deliveries", params=empty)).json()["items"] == []
        shown = (await ward.viewer.get(f"/deliveries/{given_up['id']}")).json()
        assert [(each["status"], each["answer"]) for each in shown["tries"]] == [(422, "who is p1?")] * 2
        assert shown["tries"][0]["headers"]["webhook-id"] == given_up["id"]
        assert "webhook-signature" not in shown["tries"][0]["headers"]
        assert shown["body"]["data"]["pump_id"] == "p1"

        endpoint.conduct_of = lambda _: answers(204)
        again = await ward.administrator.post(f"/deliveries/{given_up['id']}/redrive")
        assert (again.json()["state"], again.json()["failures"]) == ("pending", 0)
        await until_told(ward, postgres_url, rows)
        assert {request.id for request in endpoint.requests} == {given_up["id"]}
        told = (await ward.viewer.get(f"/deliveries/{given_up['id']}")).json()
        assert (told["state"], [each["number"] for each in told["tries"]]) == ("delivered", [1, 2, 3])
        assert "delivered" in str(problem(await ward.administrator.post(f"/deliveries/{given_up['id']}/redrive"), 409))


async def test_everything_is_sent_again_in_its_order_but_not_what_is_out_of_date(
    ward: Ward, postgres_url: str, rows: Rows
) -> None:
    async with Endpoint() as endpoint:
        target = await rows.an_endpoint(endpoint, name="clinic")
        alert, other = await rows.an_alert(), await rows.an_alert()
        for number, kind in ((1, "activated"), (2, "acknowledged"), (3, "resolved")):
            await rows.a_notification(target, alert, number=number, kind=kind)
        stale = await rows.a_notification(target, other, number=1)
        newer = await rows.a_notification(target, other, number=2, kind="resolved")
        await rows.pool.execute("UPDATE notification SET state = 'failed'")
        await rows.pool.execute("UPDATE notification SET state = 'delivered' WHERE id = $1", newer)
        problem(await ward.administrator.post("/deliveries/redrive", params={"endpoint": "nobody"}), 422)
        answer = await ward.administrator.post("/deliveries/redrive", params={"endpoint": "clinic"})
        assert answer.json() == {"redriven": 3}
        assert "out of date" in str(
            problem(await ward.administrator.post(f"/deliveries/{stale}/redrive"), 409)["detail"]
        )
        await until_told(ward, postgres_url, rows)
    assert [request.id for request in endpoint.requests] == rows.ids[:3]


async def test_pages_of_deliveries_meet_without_a_gap(ward: Ward, rows: Rows) -> None:
    target = await rows.an_endpoint()
    for _ in range(5):
        await rows.a_notification(target)
    found, cursor = [], None
    while True:
        page = (
            await ward.viewer.get("/deliveries", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == rows.ids[::-1]
    problem(await ward.viewer.get("/deliveries/nothing"), 404)
    problem(await ward.viewer.post("/deliveries/redrive"), 403)


async def test_an_alert_that_is_over_before_anybody_was_told_is_collapsed(ward: Ward, rows: Rows) -> None:
    keys = await enter(ward, "p1")
    await rows.an_endpoint(name="clinic")
    began = turn(keys["p1"], Condition.RESERVOIR_LOW)
    await raise_alert(ward, began)
    await raise_alert(ward, turn(keys["p1"], Condition.RESERVOIR_LOW, Turn.ENDED, began.position + 1))
    [item] = (await ward.viewer.get("/deliveries")).json()["items"]
    assert (item["kind"], item["state"]) == ("activated", "collapsed")
