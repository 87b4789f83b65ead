"""The pictures of docs/guide, made from the running board: python -m tests.web.pictures [--to docs/guide]

Starts the demonstration with a fleet that is the same each time, answers an alert, and looks at every page.
"""

import argparse
import asyncio
import re
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from service.embedded.child import leashed
from tests.benchmarks.processes import ROOT
from tests.web.serving import CHROMIUM, WITHIN_MS, chromium

FLEET = ("--pumps", "60", "--seed", "7")
READY_WITHIN_S = 300
WIDE, PHONE = 960, 390
NOTE = "The patient is well and comes in at 14:00"


async def main(to: Path) -> None:
    expect.set_options(timeout=2 * WITHIN_MS)
    to.mkdir(parents=True, exist_ok=True)
    async with _demo() as way_in, chromium() as browser:
        url = way_in.partition("/login/")[0]
        wide = await _page(browser, url, WIDE)
        await wide.goto(way_in)
        await _login_to_alerts(wide)
        await _answer(wide, to)
        await wide.goto("/")
        await expect(wide.locator("article", has_text=NOTE)).to_be_visible()
        await _shoot(wide, to / "alerts.png", 760)
        alert = wide.locator("article", has_text="Stall").first
        await alert.get_by_role("link").click()
        await expect(wide.locator(".chart canvas")).to_be_visible()
        await _shoot(wide, to / "alert.png", 1000)
        await wide.get_by_role("link", name=re.compile("Everything about")).click()
        await expect(wide.get_by_role("img", name=re.compile("Flow against program from"))).to_be_visible()
        await _shoot(wide, to / "pump.png", 1200)
        await wide.goto("/pumps")
        await expect(wide.locator("table.fleet svg").nth(20)).to_be_visible()
        await _shoot(wide, to / "fleet.png", 760)
        await wide.goto("/pipeline")
        await expect(wide.get_by_text("Heard in two minutes")).to_be_visible()
        await _shoot(wide, to / "pipeline.png", 760)
        await wide.goto("/account")
        await expect(wide.locator("main[inert]")).to_have_count(0)
        await wide.get_by_role("button", name="Set a password").click()
        await expect(wide.get_by_role("dialog")).to_be_visible()
        await _shoot(wide, to / "password.png", 520)
        phone = await _page(browser, url, PHONE, like=wide)
        for path, name in (("/", "phone-alerts"), (await _pump_of(wide), "phone-pump")):
            await phone.goto(path)
            await expect(phone.locator("article").first).to_be_visible()
            await _shoot(phone, to / f"{name}.png", 844)


@asynccontextmanager
async def _demo() -> AsyncIterator[str]:
    """The link that logs in, once the fleet is live and what it had is judged."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as directory:
        command = [sys.executable, "-m", "service", "demo", *FLEET, "--directory", str(Path(directory) / "demo")]
        child = await asyncio.create_subprocess_exec(
            *leashed(command, signal.SIGINT), cwd=ROOT, stdout=PIPE, stderr=DEVNULL
        )
        assert child.stdout is not None
        try:
            way_in, live = "", False
            async with asyncio.timeout(READY_WITHIN_S):
                while not (way_in and live):
                    line = (await child.stdout.readline()).decode()
                    assert line, "the demonstration ended"
                    way_in = found[0] if (found := re.search(r"http://\S+/login/\S+", line)) else way_in
                    live = live or re.search(r"live \d+ s", line) is not None
            yield way_in
        finally:
            child.send_signal(signal.SIGINT)
            await child.communicate()


async def _page(browser: Browser, url: str, width: int, like: Page | None = None) -> Page:
    """A page of its own; logged in as `like` is, and dark."""
    context = await browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 844},
        color_scheme="light" if like is None else "dark",
        storage_state=None if like is None else await like.context.storage_state(),
    )
    return await context.new_page()


async def _login_to_alerts(page: Page) -> None:
    if await page.locator("form").count():  # a link is used by pressing its button: to fetch it is not enough
        await page.get_by_role("button").click()
    await expect(page.locator("h1")).to_have_text("Alerts")
    await expect(page.locator(".degraded")).to_be_hidden()
    await expect(page.locator("article", has_text="Stall").first).to_contain_text("told: clinic")


async def _answer(page: Page, to: Path) -> None:
    """Of the medium alerts the first is answered; the dialog is a picture of its own."""
    alert = page.locator("article.medium").first
    await alert.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Note").fill(NOTE)
    await _shoot(page, to / "answer.png", 700)
    await dialog.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("article", has_text=NOTE)).to_be_visible()


async def _pump_of(page: Page) -> str:
    """The path of a pump whose motor stands still."""
    await page.goto("/pumps?verdict=stall")
    path = await page.locator("table.fleet tbody a").first.get_attribute("href")
    assert path is not None
    return path


async def _shoot(page: Page, path: Path, height: int) -> None:
    size = page.viewport_size
    assert size is not None
    await page.mouse.move(0, 0)
    await page.set_viewport_size({"width": size["width"], "height": height})
    await page.wait_for_timeout(500)  # charts fit themselves to the new size
    await page.screenshot(path=path)
    await page.set_viewport_size(size)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.web.pictures", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("docs/guide"))
    if CHROMIUM is None:
        parser.error("no Chromium on this machine (Debian: apt-get install chromium)")
    asyncio.run(main(parser.parse_args().to))
