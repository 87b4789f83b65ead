"""Somebody changes their own password in a browser."""

from datetime import UTC, datetime

import asyncpg
from playwright.async_api import Locator, expect

from service.postgres import people
from tests.web.conftest import Board
from tests.web.serving import PASSWORD, log_in
from tests.web.steps import dialog, shown

NEW = "eleven brown horses"


async def fill(asked: Locator, *, old: str, new: str, again: str) -> None:
    await asked.get_by_label("Old password").fill(old)
    await asked.get_by_label("New password", exact=True).fill(new)
    await asked.get_by_label("New password again").fill(again)
    await asked.get_by_role("button", name="Change it").click()


async def test_a_password_is_changed_whoever_is_logged_in_elsewhere_is_out_and_one_logs_out_oneself(
    board: Board, connection: asyncpg.Connection
) -> None:
    page, elsewhere = await board.visitor(), await board.visitor()
    await page.get_by_role("button", name="dr-weber").click()
    await page.get_by_role("menuitem", name="My account").click()
    await expect(page.locator("h1")).to_have_text("My account")
    await shown(page, "/account")
    asked = await dialog(page, "Change my password")
    await expect(asked).to_contain_text("At least 12 characters")
    await fill(asked, old=PASSWORD, new=NEW, again="eleven brown hoses")
    await expect(asked).to_contain_text("is not the same as above")
    await fill(asked, old="wrong", new=NEW, again=NEW)
    await expect(asked).to_contain_text("is not your password")
    await fill(asked, old=PASSWORD, new="too short", again="too short")
    await expect(asked).to_contain_text("must have 12 to 200 characters")
    await fill(asked, old=PASSWORD, new=NEW, again=NEW)
    await expect(page.get_by_text("Your password is changed")).to_be_visible()
    await elsewhere.wait_for_url(f"{board.url}/login*")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("My account")
    await log_in(elsewhere, "dr-weber", NEW)
    await expect(elsewhere.locator("h1")).to_have_text("Alerts")
    await page.get_by_role("button", name="dr-weber").click()
    await page.get_by_role("menuitem", name="Log out").click()
    await page.wait_for_url(f"{board.url}/login")
    await page.goto("/account")
    assert page.url == f"{board.url}/login?next=/account"
    assert await connection.fetchval("SELECT count(*) FROM audit WHERE action = 'password_changed'") == 1


async def test_whoever_guesses_at_an_open_page_is_told_to_wait(board: Board, connection: asyncpg.Connection) -> None:
    page = await board.visitor("dr-sato")
    for _ in range(10):  # enough for a wait of a quarter of an hour
        await people.login_tried(connection, "dr-sato", "elsewhere", datetime.now(UTC))
    await shown(page, "/account")
    asked = await dialog(page, "Change my password")
    await fill(asked, old=PASSWORD, new=NEW, again=NEW)
    await expect(asked.get_by_role("alert")).to_contain_text("too many wrong guesses")
