"""What happened to a pump and what is missing of it, over HTTP."""

from datetime import timedelta

from service.core.reading import position_of
from tests.api.ward import NOW, Ward, enter, problem


async def test_events_come_newest_first_with_what_the_pump_said(ward: Ward) -> None:
    key = (await enter(ward, "p1"))["p1"]
    for seq in range(5):
        await ward.rows(
            "INSERT INTO event VALUES ($1, $2, $3, $4, $4, 20, $5::text::jsonb)",
            key,
            position_of(7, seq),
            "refill" if seq % 2 else "mri_began",
            NOW + timedelta(minutes=seq),
            '{"reservoir_after_ml": 20.0}',
        )
    first = (await ward.viewer.get("/pumps/p1/events", params={"limit": 3})).json()
    rest = (await ward.viewer.get("/pumps/p1/events", params={"cursor": first["next_cursor"]})).json()
    assert [event["seq"] for event in first["items"] + rest["items"]] == [4, 3, 2, 1, 0]
    assert rest["next_cursor"] is None
    assert first["items"][1] == {
        "boot": 7,
        "seq": 3,
        "type": "refill",
        "measured_at": "2026-11-22T20:33:00Z",
        "received_at": "2026-11-22T20:33:00Z",
        "body": {"reservoir_after_ml": 20.0},
    }
    query = {"type": "mri_began", "from": "2026-11-22T20:31:00Z", "to": "2026-11-22T20:34:00Z"}
    chosen = (await ward.viewer.get("/pumps/p1/events", params=query)).json()["items"]
    assert [event["seq"] for event in chosen] == [2]
    query["to"] = query["from"]
    problem(await ward.viewer.get("/pumps/p1/events", params=query), 422)


async def test_gaps_say_what_is_missing_and_whether_it_ever_comes(ward: Ward) -> None:
    key = (await enter(ward, "p1"))["p1"]
    for seq, closed_at, lost in ((10, None, False), (20, NOW, False), (30, None, True)):
        await ward.rows(
            "INSERT INTO gap VALUES ($1, $2, $3, $4, $5, $6)",
            *(key, position_of(7, seq), position_of(7, seq + 4), NOW, closed_at, lost),
        )
    first = (await ward.viewer.get("/pumps/p1/gaps", params={"limit": 2})).json()
    rest = (await ward.viewer.get("/pumps/p1/gaps", params={"cursor": first["next_cursor"]})).json()
    assert first["items"][0] == {
        "first": {"boot": 7, "seq": 30},
        "last": {"boot": 7, "seq": 34},
        "noticed_at": "2026-11-22T20:30:00Z",
        "closed_at": None,
        "lost": True,
    }
    assert [gap["first"]["seq"] for gap in first["items"] + rest["items"]] == [30, 20, 10]
    assert first["items"][1]["closed_at"] == "2026-11-22T20:30:00Z"
