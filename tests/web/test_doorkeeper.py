"""Who is not let in to the board reads why on a page, and not in the words of programs."""

import httpx
from starlette.responses import PlainTextResponse

from service.api.refusals import Refusals
from service.api.throttle import AT_ONCE_S
from service.postgres import people
from service.postgres.accounts import Role
from service.web.desk import ContextOf
from service.web.doorkeeper import Doorkeeper
from tests.api.ward import staffed


def stopped_s() -> float:
    """No time passes."""
    return 1_000.0


async def test_who_asks_too_much_of_the_board_reads_on_a_page_when_to_come_again(postgres_url: str) -> None:
    async with staffed(postgres_url, elapsed_s=stopped_s, api_requests_per_s=2 / AT_ONCE_S) as ward:
        account = await people.add(ward.database, "dr-weber", Role.CLINICIAN, "test")
        session = await people.begin_session(ward.database, account, "dr-weber", "link", ward.clock())
        board = httpx.ASGITransport(Refusals(Doorkeeper(PlainTextResponse("the page"), ContextOf(ward.app))))
        cookies = {"pumpwatch_session": session}
        async with httpx.AsyncClient(transport=board, base_url="http://board", cookies=cookies) as browser:
            answers = [await browser.get("/pumps") for _ in range(3)]
    assert [answer.text for answer in answers[:2]] == ["the page"] * 2
    refused = answers[2]
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "text/html; charset=utf-8"
    assert "Too many requests of this account: try again in 3 s." in refused.text
    assert refused.headers["retry-after"] == "3"
    assert refused.headers["cache-control"] == "no-store"
