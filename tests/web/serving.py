"""The role `api` with its board as a process of its own, and somebody in a browser who is logged in."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from shutil import which
from socket import socket

import asyncpg
from argon2 import PasswordHasher
from playwright.async_api import Browser, Page, async_playwright

from service.embedded.child import free_port
from service.postgres import people
from service.postgres.accounts import Role
from service.settings import inherited_environment
from tests.benchmarks.processes import ended, started
from tests.forks import Forks
from tests.keys import ENVIRONMENT
from tests.patience import until_true

PASSWORD = "a horse, a battery and a staple"
WITHIN_MS = 30_000
# The first has no window to draw, and takes half as much of the processor.
CHROMIUM = which("chromium-headless-shell") or which("chromium")


@asynccontextmanager
async def serving(database_url: str, directory: Path, forks: Forks | None = None) -> AsyncIterator[str]:
    """The address of the board over this database."""
    port = free_port()
    settings = {
        "PUMPWATCH_DATABASE_URL": database_url,
        "PUMPWATCH_API_PORT": str(port),
        "PUMPWATCH_BROKER_URL": "mqtt://127.0.0.1:1",
    }
    async with running("api", settings, directory / "api.log", forks):
        await until_true(lambda: _answers(port), "the API to answer")
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def running(role: str, settings: dict[str, str], log: Path, forks: Forks | None = None) -> AsyncIterator[None]:
    """One role as a process of its own: forked, or started from nothing."""
    environment = inherited_environment() | ENVIRONMENT | settings
    async with AsyncExitStack() as stack:
        if forks is None:
            command = [sys.executable, "-m", "service", "run", role]
            await stack.enter_async_context(ended(await started(command, environment=environment, log=log)))
        else:
            with log.open("ab") as errors, Path(os.devnull).open("wb") as nowhere:
                fork = forks.start(*("run", role), environment=environment, out=nowhere.fileno(), err=errors.fileno())
            stack.push_async_callback(asyncio.to_thread, fork.end)
        yield


def _answers(port: int) -> bool:
    with socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's; CHROMIUM says whether there is one."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def enrol(connection: asyncpg.Connection, *people_: tuple[str, Role, list[str] | None]) -> None:
    """Accounts with the password that `log_in` knows."""
    hashed = PasswordHasher(time_cost=1).hash(PASSWORD)
    for name, role, sites in people_:
        await people.add(connection, name, role, "test", sites=sites, password=hashed)


async def visitor(browser: Browser, url: str, name: str, *, width: int = 1200, dark: bool = False) -> Page:
    """Somebody in a browser of their own; without a name, not logged in."""
    context = await browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",  # what is fading in has no colour yet that could be judged
    )
    context.set_default_timeout(WITHIN_MS)
    page = await context.new_page()
    if name:
        await page.goto("/login")
        await log_in(page, name)
    return page


async def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """From the login page, rightly, to wherever that leads."""
    await page.fill("#name", name)
    await page.fill("#password", password)
    await page.click("button")
    await page.wait_for_url(lambda url: "/login" not in url)
