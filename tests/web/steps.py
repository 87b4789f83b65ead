"""What somebody does at a page of the board: opens it, presses a button, fills in what is asked."""

from playwright.async_api import Locator, Page, expect

from tests.web.conftest import Board


async def administrator(board: Board, path: str, *, width: int = 1200, dark: bool = False) -> Page:
    page = await board.visitor("boss", width=width, dark=dark)
    await shown(page, path)
    return page


async def shown(page: Page, path: str) -> None:
    """Open a page and wait until it is connected, and filled."""
    await page.goto(path)
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator("main[inert]")).to_have_count(0)
    if path.startswith("/pumps/"):
        await expect(page.locator(".chart svg, .chart canvas").first).to_be_visible()


async def dialog(page: Page, button: str) -> Locator:
    """Press a button of the page, and wait for what it asks."""
    await expect(page.get_by_role("dialog")).to_have_count(0)  # the one before is gone
    await page.locator("#page").get_by_role("button", name=button, exact=True).click()
    asked = page.get_by_role("dialog")
    await expect(asked).to_be_visible()
    return asked


async def at_rest(asked: Locator) -> None:
    """Wait until what was opened moves no more."""
    await asked.get_by_role("button", name="Cancel").click(trial=True)


async def chosen(page: Page, asked: Locator, label: str, option: str) -> None:
    """Choose from a list, and see it closed."""
    field = asked.get_by_role("combobox", name=label)
    await field.click()
    await page.get_by_role("option", name=option, exact=True).click()
    await asked.locator(".text-h6").click()  # a list of several stays open
    await expect(page.get_by_role("listbox")).to_have_count(0)
