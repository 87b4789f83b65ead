"""A pump's readings and events as CSV, over HTTP."""

import csv
import io

from service.core.reading import position_of
from service.postgres.export import ROWS_AT_ONCE
from tests.api.ward import NOW, Ward, enter, problem


async def test_an_export_holds_every_reading_of_the_span_once_in_order_and_is_audited(ward: Ward) -> None:
    key = (await enter(ward, "-p1"))["-p1"]
    count = 2 * ROWS_AT_ONCE + 1
    # Two readings share each instant, so that a page may end between them.
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz + (n / 2) * interval '1 second', $2::bigint + n, $1, $3, 0.5,"
        " 0.4971, 17.931, 2.914, 0, CASE n % 2 WHEN 0 THEN 12.25 END FROM generate_series(0, $4::int - 1) AS n",
        *(NOW, position_of(7, 0), key, count),
    )
    pieces = 0
    text = ""
    async with ward.viewer.stream("GET", "/pumps/-p1/export") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="-p1-readings.csv"'
        async for piece in answer.aiter_text():
            pieces += 1
            text += piece
    assert pieces > 2, "it is streamed"
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [int(row["seq"]) for row in rows] == list(range(count))
    assert rows[0] == {
        "pump_id": "'-p1",
        "measured_at": "2026-11-22T20:30:00.000Z",
        "received_at": "2026-11-22T20:30:00.000Z",
        "boot": "7",
        "seq": "0",
        "mode": "running",
        "program_ml_d": "0.5",
        "flow_ml_d": "0.4971",
        "reservoir_ml": "17.931",
        "battery_v": "2.914",
        "delivered_ul": "12.25",
    }
    assert rows[1]["delivered_ul"] == ""
    span = {"from": "2026-11-22T20:30:10Z", "to": "2026-11-22T20:30:20Z"}
    assert len((await ward.viewer.get("/pumps/-p1/export", params=span)).text.splitlines()) == 21
    (first, _) = await ward.rows("SELECT actor, subject FROM audit WHERE action = 'pump_exported' ORDER BY id")
    assert tuple(first) == ("the-viewer", "-p1")


async def test_events_are_exported_as_they_came_and_run_nothing(ward: Ward) -> None:
    key = (await enter(ward, "p1"))["p1"]
    body = '{"command_id": "=HYPERLINK(1)", "program_ml_d": 0.5}'
    await ward.rows(
        "INSERT INTO event VALUES ($1, $2, 'program_changed', $3, $3, 0.5, $4::text::jsonb)",
        *(key, position_of(7, 1), NOW, body),
    )
    text = (await ward.viewer.get("/pumps/p1/export", params={"what": "events"})).text
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["type"], row["body"]) == ("program_changed", body)
    same = {"from": "2026-11-22T20:00:00Z", "to": "2026-11-22T20:00:00Z"}
    problem(await ward.viewer.get("/pumps/p1/export", params=same), 422)
    problem(await ward.viewer.get("/pumps/p2/export"), 404)
