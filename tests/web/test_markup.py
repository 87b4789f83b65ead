"""What somebody wrote is shown to others as it was written: it is no part of the page."""

import asyncpg
from playwright.async_api import expect

from tests.web.conftest import Board
from tests.web.steps import shown

MARKUP = "<img src=taken-over onerror=alert(1)>{{ 7 * 7 }}"


async def test_what_others_wrote_is_text_and_no_part_of_the_page(board: Board, connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE endpoint SET name = $1 || id::text", MARKUP)
    page = await board.visitor()
    await shown(page, "/")
    await page.get_by_role("button", name="Acknowledge").first.click()
    await page.get_by_role("dialog").get_by_label("Note").fill(MARKUP)
    await page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("article.answered", has_text=MARKUP)).to_be_visible()
    await expect(page.locator("img[src=taken-over]")).to_have_count(0)

    written = "SELECT alert_id FROM alert_history WHERE event = 'acknowledged' AND note = $1"
    await shown(page, f"/alerts/{await connection.fetchval(written, MARKUP)}")
    await expect(page.get_by_text(MARKUP).first).to_be_visible()
    await expect(page.locator("img[src=taken-over]")).to_have_count(0)
