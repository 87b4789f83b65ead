"""The books of a pump's sequence, over HTTP."""

from service.core.reading import position_of
from tests.api.ward import NOW, Ward, enter, problem


async def test_the_books_of_a_span_say_what_is_stored_and_where_the_rest_is(ward: Ward) -> None:
    key = (await enter(ward, "p1"))["p1"]
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz - n * interval '1 minute', $2::bigint - n, $1, $3, 0.5, 0.5, 18,"
        " 2.9, 0 FROM generate_series(0, 99) AS n WHERE n NOT IN (30, 31, 70)",
        *(NOW, position_of(7, 500), key),
    )
    await ward.rows("INSERT INTO gap VALUES ($1, $2, $2, $3, NULL, true)", key, position_of(7, 430), NOW)
    await ward.rows(
        "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head)"
        " VALUES ($1, 'shard/3/pumps/v1/p1/telemetry', 'unknown_mode', '', 9, '', $2)",
        *(NOW, b'{"boot":7,"seq":469,"time_ms":[1,2]}'),
    )
    books = (await ward.viewer.get("/pumps/p1/ledger")).json()
    assert {name: books[name] for name in ("sent", "stored", "quarantined", "lost", "awaited", "unaccounted")} == {
        "sent": 100,
        "stored": 97,
        "quarantined": 2,
        "lost": 1,
        "awaited": 0,
        "unaccounted": 0,
    }
    assert books["completeness"] == 0.97
    assert books["missing"][0] == {
        "first": {"boot": 7, "seq": 430},
        "last": {"boot": 7, "seq": 430},
        "items": 1,
        "where": "lost",
    }
    assert [boot["stored"] for boot in books["boots"]] == [97]

    span = {"from": "2026-11-22T20:10:00Z", "to": "2026-11-22T20:20:00Z"}
    assert (await ward.viewer.get("/pumps/p1/ledger", params=span)).json()["sent"] == 10
    problem(await ward.viewer.get("/pumps/p1/ledger", params=span | {"to": span["from"]}), 422)
    problem(await ward.viewer.get("/pumps/p2/ledger"), 404)
