"""Which bodies are taken at all."""

import asyncio
from collections.abc import AsyncIterator

from tests.api.ward import Ward, problem


async def test_a_body_above_a_megabyte_is_refused_however_it_is_sent(ward: Ward) -> None:
    large = b"x" * 1_000_001
    as_json = {"Content-Type": "application/json"}
    problem(await ward.administrator.put("/pumps/p1", content=large, headers=as_json), 413)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 60_000

    problem(await ward.administrator.put("/pumps/p1", content=pieces(), headers=as_json), 413)
    assert (await ward.viewer.get("/pumps")).status_code == 200


async def test_a_stranger_is_refused_before_the_body_is_read(ward: Ward) -> None:
    host, port = ward.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PUT /api/v1/pumps/p1 HTTP/1.1\r\nHost: api\r\nContent-Length: 900000\r\n\r\n")
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 60)
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
