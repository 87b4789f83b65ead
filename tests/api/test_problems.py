"""What a caller is told who asked for something wrong."""

import asyncio

import httpx

from tests.api.ward import Ward, problem

WRONG = [
    ("/pumps?limit=0", "limit"),
    ("/pumps?limit=1001", "limit"),
    ("/pumps?limit=many", "limit"),
    ("/pumps?cursor=zzz", "cursor"),
    ("/pumps?cursor=%00", "cursor"),
    ("/pumps?site=%00", "site"),
    ("/pumps?q=a%20b", "q"),
    ("/pumps/p%001", "pump_id"),
    (f"/pumps/{'p' * 65}", "pump_id"),
    ("/pumps/p1/readings?from=yesterday", "from"),
    ("/pumps/p1/readings?from=2026-11-22T20:00:00", "from"),
    ("/pumps/p1/readings?from=0001-01-01T00:00:00%2B14:00", "from"),
    ("/pumps/p1/readings?to=9999-12-31T23:59:59-14:00", "to"),
    ("/pumps/p1/readings?from=2026-11-22T20:00:00Z&to=2026-11-22T20:00:00Z", "to"),
    ("/pumps/p1/readings?limit=10001", "limit"),
    ("/pumps/p1/readings?cursor=WyIyMDI2LTExLTIyVDIwOjAwOjAwWiIsOTIyMzM3MjAzNjg1NDc3NTgwOF0", "cursor"),
    ("/pumps/p1/readings?cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwwXQ", "cursor"),
    ("/pumps/p1/events?type=explosion", "type"),
    ("/pumps/p1/gaps?cursor=WyJ4Il0", "cursor"),
    ("/alerts?state=open", "state.0"),
    ("/alerts?priority=severe", "priority.0"),
    ("/alerts?since=now", "since"),
    ("/alerts/17", "alert_id"),
    ("/quarantine/0", "number"),
    ("/quarantine/9223372036854775808", "number"),
]
ABSENT = [
    "/pumps/p1",
    "/pumps/p1/readings",
    "/pumps/p1/events",
    "/pumps/p1/gaps",
    "/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
    "/quarantine/1",
    "/nothing-here",
]


async def test_a_wrong_value_is_refused_by_the_name_of_its_field(ward: Ward) -> None:
    blamed = []
    for path, _ in WRONG:
        found = problem(await ward.viewer.get(path), 422)
        assert all(error["detail"] for error in found["errors"])
        blamed.append((path, ", ".join(error["field"] for error in found["errors"])))
    assert blamed == WRONG


async def test_what_is_not_there_is_said_not_to_be_there(ward: Ward) -> None:
    for path in ABSENT:
        problem(await ward.viewer.get(path), 404)


async def test_a_method_that_a_resource_does_not_have_is_named_as_that(ward: Ward) -> None:
    answer = await ward.viewer.delete("/pumps")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET"


async def test_a_body_above_a_megabyte_is_refused_however_it_is_sent(ward: Ward) -> None:
    large = b"x" * 1_000_001
    as_json = {"Content-Type": "application/json"}
    problem(await ward.administrator.put("/pumps/p1", content=large, headers=as_json), 413)

    async def pieces():  # noqa: ANN202
        for _ in range(20):
            yield b"x" * 60_000

    problem(await ward.administrator.put("/pumps/p1", content=pieces(), headers=as_json), 413)
    assert (await ward.viewer.get("/pumps")).status_code == 200


async def test_a_stranger_is_refused_before_the_body_is_read(ward: Ward) -> None:
    host, port = ward.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PUT /api/v1/pumps/p1 HTTP/1.1\r\nHost: api\r\nContent-Length: 900000\r\n\r\n")
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_a_body_that_is_not_said_to_be_json_is_refused(ward: Ward) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""):
        answer = await ward.administrator.put("/pumps/p1", content=b"{}", headers={"Content-Type": media_type})
        problem(answer, 415)


async def test_a_body_that_is_not_an_object_is_refused(ward: Ward) -> None:
    as_json = {"Content-Type": "application/json; charset=utf-8"}
    nested = b"[" * 100_000, b'{"a":' * 100_000
    for body in (b"", b"{", b"[]", b"1", b'"x"', b"\xff\xfe", b'{"capacity_ml": NaN}', *nested):
        answer = await ward.administrator.put("/pumps/p1", content=body, headers=as_json)
        assert problem(answer, 422)["errors"][0]["field"] == "body", body[:20]


async def test_every_request_is_counted_under_its_route_and_not_its_path(ward: Ward) -> None:
    await ward.viewer.get("/pumps/p1")
    await ward.viewer.get("/pumps/p2")
    await ward.client.get("/api/v1/pumps/p3")
    await ward.client.get("/guess")
    text = (await ward.client.get("/metrics")).text
    assert 'pumpwatch_api_requests_total{method="GET",route="/api/v1/pumps/{pump_id}",status="404"} 2.0' in text, text
    assert 'pumpwatch_api_requests_total{method="GET",route="none",status="401"} 2.0' in text
    assert "p3" not in text


async def test_an_answer_never_names_who_serves_it(ward: Ward) -> None:
    answer: httpx.Response = await ward.client.get("/live")
    assert "server" not in answer.headers
