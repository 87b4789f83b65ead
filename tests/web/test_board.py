"""A clinician sees what is wrong, believes it, and answers it in two clicks, on a phone as well."""

from contextlib import suppress

import asyncpg
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, TimeoutError, expect  # noqa: A004 - its own, not the built-in one

from service.core.change import Condition, Turn
from service.postgres import people
from tests.episodes import turned
from tests.postgres.alerting import a_pump, apply
from tests.web.conftest import SHOTS, Board
from tests.web.serving import log_in

PAGES = {"alerts": "/", "history": "/history", "fleet": "/pumps", "pump": "/pumps/p1", "pipeline": "/pipeline"}
SERIOUS = {"serious", "critical"}
# axe takes what lies behind a dialog's backdrop for the ground of its text. Its buttons are those of the pages.
IN_A_DIALOG = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": False}}}


async def shown(page: Page, path: str) -> None:
    """Open a page and wait until it is filled."""
    await page.goto(path)
    await expect(page.locator("h1")).to_be_visible()
    if path.startswith("/pumps/"):
        await expect(page.locator(".chart svg, .chart canvas").first).to_be_visible()


async def test_nobody_sees_anything_before_logging_in_and_lands_where_they_were_going(board: Board) -> None:
    page = await board.visitor("")
    for path in PAGES.values():
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


async def test_what_our_own_chain_lacks_stands_on_every_page(board: Board) -> None:
    page = await board.visitor()
    for path in PAGES.values():
        await shown(page, path)
        await expect(page.locator(".degraded")).to_contain_text("We are not watching everything")
        await expect(page.locator(".simulation")).to_have_text("Simulation, not for clinical use")


async def test_pages_can_be_used_by_everybody_in_any_light_and_on_a_phone(board: Board) -> None:
    axe = Axe()
    for width, dark in ((1200, False), (1200, True), (390, False)):
        page = await board.visitor(width=width, dark=dark)
        alert = await page.get_by_role("link", name="Stall, p1").get_attribute("href")
        for name, path in (PAGES | {"alert": str(alert), "answer": str(alert)}).items():
            await shown(page, path)
            if name == "answer":
                await page.get_by_role("button", name="Acknowledge").click()
                await expect(page.get_by_role("dialog").get_by_label("Note")).to_be_focused()
            kind = "phone" if width < 500 else "dark" if dark else "light"
            await page.screenshot(path=SHOTS / f"{name}-{kind}.png", full_page=True)
            found = await (axe.run(page, ".dialog", IN_A_DIALOG) if name == "answer" else axe.run(page))
            serious = [v for v in found.response["violations"] if v["impact"] in SERIOUS]
            told = [(node["target"], [each["message"] for each in node["any"]]) for v in serious for node in v["nodes"]]
            assert serious == [], f"{name}, {kind}: {told}"
            beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert beyond <= 0, f"{name} is {beyond} px too wide at {width}"


async def test_nothing_is_asked_of_another_machine(board: Board) -> None:
    page = await board.visitor()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PAGES.values():
        await shown(page, path)
    assert asked
    ours = (board.url, board.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(ours)] == []
