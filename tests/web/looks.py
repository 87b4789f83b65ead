"""Can a page be used by everybody? Kept as a picture, looked at by axe, and no wider than its window."""

from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

SERIOUS = {"serious", "critical"}


async def looks_well(page: Page, axe: Axe, shot: Path) -> None:
    await page.screenshot(path=shot, full_page=True)
    found = await axe.run(page, options={"resultTypes": ["violations"]})  # what is well need not be listed
    serious = [each for each in found.response["violations"] if each["impact"] in SERIOUS]
    what = [(v["id"], [(node["html"], node["failureSummary"]) for node in v["nodes"]][:3]) for v in serious]
    assert not serious, f"{shot.name}: {what}"
    beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert beyond <= 0, f"{shot.name} is {beyond} px too wide"
