"""While the board cannot answer, a clinician reads why, in any light, on a phone too; afterwards it comes by itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from service.embedded.postgres import PostgresServer
from service.postgres.accounts import Role
from service.postgres.migrate import migrate
from tests.dashboards.ward import fill
from tests.forks import Forks
from tests.web import serving
from tests.web.conftest import SHOTS, Board
from tests.web.looks import looks_well
from tests.web.pages import addresses
from tests.web.steps import dialog, shown

LOOKS = {"light": (1200, False), "dark": (1200, True), "phone": (390, False)}
UNKNOWN = "0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11"


@pytest.fixture
async def own(postgres_server: PostgresServer, browser: Browser, forks: Forks, tmp_path: Path) -> AsyncIterator[Board]:
    """A board whose database the test may stop."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    url = postgres_server.url()
    await migrate(url)
    connection = await asyncpg.connect(url)
    await fill(connection, datetime.now(UTC))
    await serving.enrol(connection, ("dr-weber", Role.CLINICIAN, None))
    await connection.close()
    async with serving.serving(url, tmp_path, forks) as address:
        yield Board(address, url, browser)
        for context in browser.contexts:
            await context.close()


async def opened(page: Page, path: str, status: int, title: str) -> None:
    """A page that is refused: its status, its heading, and that it says what it is."""
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status == status, path
    await expect(page.locator("h1")).to_have_text(title)
    await expect(page.locator(".simulation")).to_have_text("Simulation, not for clinical use")


async def test_what_is_not_there_is_said_on_a_page_of_the_board_or_a_plain_one(board: Board) -> None:
    page, axe = await board.visitor(width=390), Axe()
    await opened(page, "/nothing-here", 404, "There is no such page")
    await looks_well(page, axe, SHOTS / "refused-phone.png")
    await page.get_by_role("link", name="Go to the open alerts").click()
    await expect(page.locator("h1")).to_have_text("Alerts")
    await opened(page, "/alerts/none", 422, "This address is not right")
    await opened(page, "/pumps/none", 404, "No such pump")
    await opened(page, f"/alerts/{UNKNOWN}", 404, "No such alert")
    await opened(page, "/admin/people", 403, "This is not for your account")
    sent = await page.request.post("/pumps", headers={"Accept": "text/html"})
    assert (sent.status, sent.headers["content-type"]) == (405, "text/html; charset=utf-8")
    assert "This cannot be done here" in await sent.text()


async def test_a_clinician_reads_that_the_database_is_away_loses_nothing_typed_and_has_every_page_back_by_itself(
    own: Board, postgres_server: PostgresServer
) -> None:
    connection = await asyncpg.connect(own.database_url)
    alert = (await addresses(connection))["alert"]
    await connection.close()
    pages = {look: await own.visitor(width=width, dark=dark) for look, (width, dark) in LOOKS.items()}
    answering = await own.visitor()
    await shown(answering, alert)
    asked = await dialog(answering, "Acknowledge")
    await asked.get_by_label("Note (optional)").fill("on my way")

    leaving = await own.visitor()
    await shown(leaving, "/account")

    postgres_server.stop()
    await leaving.get_by_role("button", name="dr-weber").click()
    await leaving.get_by_role("menuitem", name="Log out").click()
    await expect(leaving.locator(".q-notification")).to_contain_text("You are still logged in")
    axe = Axe()
    for look, page in pages.items():
        await opened(page, "/pumps", 503, "pumpwatch cannot answer at the moment")
        await looks_well(page, axe, SHOTS / f"cannot-answer-{look}.png")
    await asked.get_by_role("button", name="Acknowledge").click()
    await expect(answering.locator(".q-notification")).to_contain_text("not at the moment: database: ")
    await expect(answering.locator(".degraded")).to_contain_text("We are not watching everything: database: ")
    await expect(asked.get_by_label("Note (optional)")).to_have_value("on my way")

    postgres_server.start()
    await leaving.get_by_role("button", name="dr-weber").click()
    await leaving.get_by_role("menuitem", name="Log out").click()
    await leaving.wait_for_url("**/login")
    for page in pages.values():
        await expect(page.locator("h1")).to_have_text("Fleet")
    await asked.get_by_role("button", name="Acknowledge").click()
    await expect(answering.locator(".alert-row .answer")).to_contain_text("dr-weber")
    await expect(answering.locator("body")).to_contain_text("on my way")
