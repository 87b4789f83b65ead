"""The board in a real browser: the role `api` as a process of its own, a small fleet, Debian's Chromium."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from socket import socket

import asyncpg
import pytest
from argon2 import PasswordHasher
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from service.embedded.child import free_port
from service.postgres import people
from service.postgres.accounts import Role
from service.settings import inherited_environment
from tests.benchmarks.processes import ended, started
from tests.dashboards.ward import fill
from tests.keys import ENVIRONMENT
from tests.patience import until_true

PASSWORD = "a horse, a battery and a staple"
SHOTS = Path("build/screenshots")
WITHIN_MS = 30_000
expect.set_options(timeout=WITHIN_MS)


@dataclass
class Board:
    """The board, its database and a browser."""

    url: str
    database_url: str
    browser: Browser

    async def visitor(self, name: str = "dr-weber", *, width: int = 1200, dark: bool = False) -> Page:
        """Somebody in a browser of their own, not logged in."""
        context: BrowserContext = await self.browser.new_context(
            base_url=self.url, viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(WITHIN_MS)
        page = await context.new_page()
        if name:
            await page.goto("/login")
            await page.fill("#name", name)
            await page.fill("#password", PASSWORD)
            await page.click("button")
            await page.wait_for_url(f"{self.url}/")
        return page


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = which("chromium")
    if chromium is None:
        pytest.skip("no Chromium on this machine (Debian's package chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


def _answers(port: int) -> bool:
    with socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
async def board(postgres_url: str, browser: Browser, tmp_path: Path) -> AsyncIterator[Board]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    connection = await asyncpg.connect(postgres_url)
    await fill(connection, datetime.now(UTC))
    hashed = PasswordHasher(time_cost=1).hash(PASSWORD)
    for name, role, sites in (
        ("dr-weber", Role.CLINICIAN, None),
        ("dr-sato", Role.CLINICIAN, None),
        ("viewer", Role.VIEWER, None),
        ("northerner", Role.CLINICIAN, ["north"]),
    ):
        await people.add(connection, name, role, "test", sites=sites, password=hashed)
    await connection.close()
    port = free_port()
    environment = inherited_environment() | ENVIRONMENT | {
        "PUMPWATCH_DATABASE_URL": postgres_url,
        "PUMPWATCH_API_PORT": str(port),
        "PUMPWATCH_BROKER_URL": "mqtt://127.0.0.1:1",
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        command = [sys.executable, "-m", "service", "run", "api"]
        child = await started(command, environment=environment, log=tmp_path / "api.log")
        await stack.enter_async_context(ended(child))
        url = f"http://127.0.0.1:{port}"
        await until_true(lambda: _answers(port), "the API to answer")
        yield Board(url, postgres_url, browser)
        for context in browser.contexts:
            await context.close()
