"""Every page of the board can be used by everybody: in any light, on a phone, with a screen reader."""

from importlib import import_module

import asyncpg
import pytest
from axe_playwright_python.async_playwright import Axe
from nicegui.client import Client
from playwright.async_api import Page, expect

from tests.web.conftest import SHOTS, Board
from tests.web.looks import looks_well
from tests.web.pages import LEADS_ON, PAGES, addresses
from tests.web.steps import at_rest, dialog, shown

LOOKS = {"light": (1200, False), "dark": (1200, True), "phone": (390, False)}


def test_every_page_that_is_registered_is_looked_at() -> None:
    for page in import_module("service.web.mount").PAGES:
        page.add()
    assert set(Client.page_routes.values()) == {*PAGES, LEADS_ON}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_can_be_used_says_what_it_is_and_what_our_chain_lacks_and_asks_nothing_of_another_machine(
    board: Board, connection: asyncpg.Connection, look: str
) -> None:
    width, dark = LOOKS[look]
    axe = Axe()
    page = await board.visitor("", width=width, dark=dark)
    await page.goto("/login")
    await looks_well(page, axe, SHOTS / f"login-{look}.png")
    page = await board.visitor("boss", width=width, dark=dark)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pages = await addresses(connection)
    for name, path in pages.items():
        await shown(page, path)
        await expect(page.locator(".simulation")).to_have_text("Simulation, not for clinical use")
        await expect(page.locator(".degraded")).to_contain_text("We are not watching everything")
        await looks_well(page, axe, SHOTS / f"{name}-{look}.png")
    await _what_opens_on_them(page, axe, pages, look)
    assert asked
    ours = (board.url, board.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(ours)] == []


async def _what_opens_on_them(page: Page, axe: Axe, pages: dict[str, str], look: str) -> None:
    for name, path, button in (
        ("answer", pages["alert"], "Acknowledge"),
        ("account-form", pages["account"], "Change my password"),
        ("admin-form", pages["admin-tokens"], "Make a token"),
    ):
        await shown(page, path)
        await at_rest(await dialog(page, button))
        await looks_well(page, axe, SHOTS / f"{name}-{look}.png")
    await shown(page, pages["account"])
    await page.get_by_role("button", name="boss").click()
    await page.get_by_role("menuitem", name="Log out").click(trial=True)
    await looks_well(page, axe, SHOTS / f"menu-{look}.png")
