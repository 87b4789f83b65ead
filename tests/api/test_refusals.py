"""Who opens a page that cannot be shown reads why on a page; a program is told in a problem, as everywhere."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from service.api.refusals import Refusals, is_for_people
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate
from tests.api.ward import Ward, eventually, problem, staffed

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGES = [
    ("GET", "/docs", {}, 401),
    ("GET", "/a/guessed", {}, 404),
    ("GET", "/login/", {}, 404),
    ("DELETE", "/a/guessed", {}, 405),
    ("POST", "/login/guessed", {}, 405),
    ("GET", "/login/guessed", {}, 410),
    ("POST", "/a/guessed", {"content": b" " * 1_000_001}, 413),
    ("POST", "/a/guessed", {"content": b"note=hello", "headers": FORM}, 415),
    ("GET", f"/a/{'x' * 201}", {}, 422),
    ("POST", f"/a/{'x' * 201}", {}, 422),
]


@pytest.fixture
async def own(postgres_server: PostgresServer) -> AsyncIterator[Ward]:
    """An API over a database that the test may stop."""
    await migrate(postgres_server.url())
    async with staffed(postgres_server.url()) as ward:
        yield ward


def words(answer: httpx.Response, status: int) -> str:
    """What a person reads on a page, after checking that it is one."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8"), answer.text
    assert "Simulation, not for clinical use" in answer.text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in answer.text
    assert "<script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert (answer.headers["cache-control"], answer.headers["x-frame-options"]) == ("no-store", "DENY")
    assert len(re.findall("<h1>(.+)</h1>", answer.text)) == 1
    return re.sub("<[^>]+>", " ", answer.text.partition("<main>")[2])


async def test_a_page_that_is_refused_says_why_in_words_and_with_the_right_status(ward: Ward) -> None:
    for method, path, request, status in PAGES:
        answer = await ward.client.request(method, path, **request)
        said = words(answer, status)
        assert "{" not in said, said
        assert "about:blank" not in said, said
    assert (await ward.client.delete("/a/guessed")).headers["allow"]


async def test_the_path_alone_decides_who_is_told_in_which_form(ward: Ward) -> None:
    for accept in ("text/html", "application/json", "*/*"):
        headers = {"Accept": accept}
        words(await ward.client.get("/a/guessed", headers=headers), 404)
        problem(await ward.viewer.get("/pumps/none", headers=headers), 404)
        problem(await ward.client.post("/hooks/canary", headers=headers), 401)
    programs = "/api/v1/pumps", "/api/nothing", "/live", "/ready", "/metrics", "/hooks/canary"
    people = "/", "/pumps", "/a/x", "/login/x", "/login", "/api", "/alive"
    assert [is_for_people(path) for path in (*programs, *people)] == [False] * len(programs) + [True] * len(people)


async def test_who_asks_for_a_link_too_often_reads_when_to_come_again(ward: Ward) -> None:
    for _ in range(30):
        words(await ward.client.get("/a/guessed"), 404)
    refused = await ward.client.get("/a/guessed")
    assert "Try again in a minute" in words(refused, 429)
    assert refused.headers["retry-after"] == "60"


async def test_a_stranger_who_takes_too_much_is_shown_a_page_too(postgres_url: str) -> None:
    async with staffed(postgres_url, elapsed_s=lambda: 1_000.0, api_strangers_per_s=0.2) as ward:  # one at once
        words(await ward.client.get("/login/guessed"), 410)
        refused = await ward.client.get("/login/guessed")
        assert "Too many requests of this address: try again in 5 s." in words(refused, 429)
        assert refused.headers["retry-after"] == "5"
        assert "refresh" not in refused.headers
        problem(await ward.client.get("/api/v1/sites"), 429)


async def test_while_the_database_is_away_a_page_says_so_asks_again_by_itself_and_comes_back(
    own: Ward, postgres_server: PostgresServer
) -> None:
    words(await own.client.get("/a/guessed"), 404)
    postgres_server.stop()

    async def has_noticed() -> bool:
        return (await own.client.get("/a/guessed")).status_code == 503

    await eventually(has_noticed)
    for method, path in (("GET", "/login/guessed"), ("GET", "/a/guessed"), ("POST", "/a/guessed")):
        answer = await own.client.request(method, path)
        said = words(answer, 503)
        assert "pumpwatch cannot answer at the moment" in said
        assert "Database: unreachable" in said
        assert answer.headers["retry-after"] == "2"
        # To ask for the page again would not press the button again.
        assert ("tries again by itself every 5 seconds" in said) is (method == "GET")
        assert ("may not have been recorded" in said) is (method == "POST")
        assert answer.headers.get("refresh") == ("5" if method == "GET" else None)
    refused = await own.viewer.get("/sites")
    problem(refused, 503)
    assert refused.headers["retry-after"] == "2"
    assert "refresh" not in refused.headers
    postgres_server.start()

    async def is_back() -> bool:
        return (await own.client.get("/login/guessed")).status_code == 410

    await eventually(is_back)


async def test_a_fault_of_ours_tells_a_person_nothing_of_its_inside() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the secret inside")

    transport = httpx.ASGITransport(Refusals(broken))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        page, program = await client.get("/pumps"), await client.get("/api/v1/pumps")
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "Something went wrong in pumpwatch" in page.text
    problem(program, 500)
    assert "secret" not in page.text + program.text


async def test_a_connection_that_is_lost_once_the_answer_is_out_takes_nothing_from_it() -> None:
    async def loses(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the whole page"})
        raise ConnectionResetError

    transport = httpx.ASGITransport(Refusals(loses))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        assert (await client.get("/pumps")).text == "the whole page"


async def test_half_an_answer_is_not_made_to_look_whole() -> None:
    async def breaks_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ConnectionRefusedError

    transport = httpx.ASGITransport(Refusals(breaks_off))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        with pytest.raises(ConnectionRefusedError):
            await client.get("/pumps")
