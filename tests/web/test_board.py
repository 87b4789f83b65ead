"""A clinician sees what is wrong, believes it, and answers it in two clicks, on a phone as well."""

from contextlib import suppress

import asyncpg
from playwright.async_api import TimeoutError, expect  # noqa: A004 - its own, not the built-in one

from service.core.change import Condition, Turn
from service.postgres import people
from tests.episodes import turned
from tests.postgres.alerting import a_pump, apply
from tests.web.conftest import Board
from tests.web.pages import addresses
from tests.web.serving import log_in
from tests.web.steps import shown


async def test_nobody_sees_anything_before_logging_in_and_lands_where_they_were_going(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await board.visitor("")
    for path in (*(await addresses(connection)).values(), "/pipeline"):
        await page.goto(path)
        assert "/login" in page.url
    await page.fill("#name", "dr-weber")
    await page.fill("#password", "wrong")
    await page.click("button")
    await expect(page.locator("#problem")).to_contain_text("do not belong together")
    await log_in(page, "dr-weber")
    assert page.url == f"{board.url}/pipeline"
    await expect(page.locator("h1")).to_have_text("Pipeline")


async def test_an_alert_appears_without_reload_and_is_answered_in_two_clicks(
    board: Board, connection: asyncpg.Connection
) -> None:
    page, other = await board.visitor(), await board.visitor("dr-sato")
    await expect(page.locator("article")).to_have_count(9)
    pump = await a_pump(connection, "p9")
    await apply(connection, turned(Turn.BEGAN, 30, Condition.STALL, pump=pump))
    for each in (page, other):
        await expect(each.locator("article", has_text="Stall, p9")).to_be_visible()
    for each in (page, other):
        await each.locator("article", has_text="Stall, p9").get_by_role("button", name="Acknowledge").click()
    await page.get_by_role("dialog").get_by_label("Note").fill("on my way")
    await page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("article.answered", has_text="Stall, p9")).to_contain_text("answered by dr-weber")
    await expect(other.locator("article.answered", has_text="Stall, p9")).to_contain_text("answered by dr-weber")
    # The second one, who had the dialog open, is told who was first.
    await other.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    await expect(other.get_by_text("already acknowledged by dr-weber")).to_be_visible()
    answered = page.locator("article.answered", has_text="Stall, p9")
    await expect(answered).to_contain_text("“on my way”")
    written = await connection.fetchrow(
        "SELECT actor, note FROM alert_history WHERE event = 'acknowledged' AND note <> ''"
    )
    assert tuple(written) == ("dr-weber", "on my way")


async def test_a_viewer_looks_and_has_no_buttons(board: Board) -> None:
    page = await board.visitor("viewer")
    await expect(page.locator("article")).to_have_count(9)
    await expect(page.locator("article button")).to_have_count(0)


async def test_one_who_sees_one_site_sees_no_other(board: Board) -> None:
    page = await board.visitor("northerner")
    await expect(page.locator("article")).to_have_count(3)
    await shown(page, "/pumps")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.goto("/pumps/p2")
    await expect(page.locator("h1")).to_have_text("No such pump")


async def test_a_look_at_a_pump_is_written_down(board: Board, connection: asyncpg.Connection) -> None:
    page = await board.visitor()
    await shown(page, "/pumps/p1")
    await expect(page.locator("article", has_text="Stall")).to_be_visible()
    looks = await connection.fetch("SELECT actor, subject FROM audit WHERE action = 'pump_viewed'")
    assert {tuple(row) for row in looks} == {("dr-weber", "p1")}


async def test_a_session_that_is_over_leads_to_the_login(board: Board, connection: asyncpg.Connection) -> None:
    page = await board.visitor()
    await people.set_password(connection, "dr-weber", "x", "test")
    await page.wait_for_url(f"{board.url}/login*")


async def test_nobody_answers_with_a_session_that_is_over(board: Board, connection: asyncpg.Connection) -> None:
    page = await board.visitor()
    await page.get_by_role("button", name="Acknowledge Bolus denied, p1").click()
    answer = page.get_by_role("dialog").get_by_role("button", name="Acknowledge")
    await expect(answer).to_be_visible()
    await people.set_password(connection, "dr-weber", "x", "test")
    with suppress(TimeoutError):  # the page may have gone to the login before
        await answer.click(timeout=2_000)
    await page.wait_for_url(f"{board.url}/login*")
    assert not await connection.fetchval("SELECT count(*) FROM alert WHERE acknowledged_by = 'dr-weber'")
