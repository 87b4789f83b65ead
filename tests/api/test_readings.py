"""What a pump measured, over HTTP."""

from datetime import timedelta
from itertools import pairwise

from service.core.reading import position_of
from tests.api.ward import NOW, Ward, enter


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
