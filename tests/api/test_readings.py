"""What a pump said and what is missing, over HTTP."""

from datetime import timedelta
from itertools import pairwise

from service.core.reading import position_of
from tests.api.ward import NOW, Ward, enter, problem


async def test_readings_come_as_columns_with_units_in_pages_that_meet_exactly(ward: Ward) -> None:
    key = (await enter(ward, "p1", "p2"))["p1"]
    # Two readings share each instant, so that a page may end between them.
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz - (n / 2) * interval '1 minute', $2::bigint + n, $1, $3, "
        "0.5, 0.4971, 17.931, 2.914, 0, CASE n % 2 WHEN 0 THEN 12.25 END FROM generate_series(0, 99) AS n",
        NOW,
        position_of(7, 0),
        key,
    )
    span = {"from": (NOW - timedelta(minutes=40)).isoformat(), "to": NOW.isoformat(), "limit": 7}
    pages = []
    while True:
        page = (await ward.viewer.get("/pumps/p1/readings", params=span)).json()
        assert {len(values) for values in page["columns"].values()} == {7 if page["next_cursor"] else 80 % 7}
        pages.append(page["columns"])
        if page["next_cursor"] is None:
            break
        span["cursor"] = page["next_cursor"]
    keys = [key for page in pages for key in zip(page["measured_at"], page["seq"], strict=True)]
    assert len(keys) == 80
    assert all(before < after for before, after in pairwise(keys))
    assert keys[0][0] == "2026-11-22T19:50:00Z"
    assert keys[-1][0] == "2026-11-22T20:29:00Z"
    assert {name: values[0] for name, values in pages[0].items()} == {
        "measured_at": "2026-11-22T19:50:00Z",
        "received_at": "2026-11-22T20:30:00Z",
        "boot": 7,
        "seq": 80,
        "mode": "running",
        "program_ml_d": 0.5,
        "flow_ml_d": 0.4971,
        "reservoir_ml": 17.931,
        "battery_v": 2.914,
        "delivered_ul": 12.25,
    }
    whole_day = (await ward.viewer.get("/pumps/p1/readings")).json()
    assert len(whole_day["columns"]["seq"]) == 98
    assert (await ward.viewer.get("/pumps/p2/readings")).json()["columns"]["seq"] == []


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
