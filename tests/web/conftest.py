"""The board in a real browser: the role `api` as a process of its own, a small fleet, Debian's Chromium."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from service.postgres.accounts import Role
from tests.dashboards.ward import fill
from tests.forks import Forks
from tests.web import serving
from tests.web.serving import CHROMIUM, WITHIN_MS

SHOTS = Path("build/screenshots")
expect.set_options(timeout=WITHIN_MS)


@dataclass
class Board:
    """The board, its database and a browser."""

    url: str
    database_url: str
    browser: Browser

    async def visitor(self, name: str = "dr-weber", *, width: int = 1200, dark: bool = False) -> Page:
        """Somebody in a browser of their own; without a name, not logged in."""
        return await serving.visitor(self.browser, self.url, name, width=width, dark=dark)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian's package chromium)")
    async with serving.chromium() as browser:
        yield browser


@pytest.fixture
async def board(postgres_url: str, browser: Browser, forks: Forks, tmp_path: Path) -> AsyncIterator[Board]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    connection = await asyncpg.connect(postgres_url)
    await fill(connection, datetime.now(UTC))
    clinicians = ("dr-weber", Role.CLINICIAN, None), ("dr-sato", Role.CLINICIAN, None)
    others = ("viewer", Role.VIEWER, None), ("boss", Role.ADMINISTRATOR, None)
    await serving.enrol(connection, *clinicians, *others, ("northerner", Role.CLINICIAN, ["north"]))
    await connection.close()
    async with serving.serving(postgres_url, tmp_path, forks) as url:
        yield Board(url, postgres_url, browser)
        for context in browser.contexts:
            await context.close()
