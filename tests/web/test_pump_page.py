"""A pump's page while somebody looks at it: any span, current without being made anew, a gap is a gap."""

import re
from datetime import UTC, datetime, timedelta

import asyncpg
from playwright.async_api import expect

from service.core.change import Condition, Turn
from tests.episodes import turned
from tests.postgres.alerting import apply
from tests.web.conftest import Board

_VOLTS = "UPDATE pump_latest SET battery_v = 2.75, received_at = now() WHERE pump = $1"
_LOST = "DELETE FROM stored_reading WHERE pump = $1 AND measured_at BETWEEN $2 AND $3"


async def test_what_is_open_and_zoomed_stays_while_an_alert_and_a_reading_come(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await board.visitor()
    await page.goto("/pumps/p1")
    flow = page.get_by_role("img", name="Flow against program from")
    await expect(flow.locator("canvas")).to_be_visible()
    await expect(flow).to_have_attribute("aria-label", said("0 gaps, 3 alerts, 1 events"))
    await page.get_by_text("Every condition that is judged").click()
    row = page.get_by_role("row", name="Sequence gap")
    await expect(row).to_be_visible()
    await flow.evaluate("element => element.mine = true")
    pump = await connection.fetchval("SELECT pump FROM pump WHERE pump_id = 'p1'")
    await apply(connection, turned(Turn.BEGAN, 30, Condition.BATTERY_LOW, pump=pump))
    await connection.execute(_VOLTS, pump)
    await expect(page.locator("article", has_text="Battery low, p1")).to_be_visible()
    await expect(page.get_by_text("2.75 V")).to_be_visible()
    await expect(row).to_be_visible()
    assert await flow.evaluate("element => element.mine")


async def test_a_gap_is_a_gap_and_any_days_can_be_asked_for(board: Board, connection: asyncpg.Connection) -> None:
    now = datetime.now(UTC)
    pump = await connection.fetchval("SELECT pump FROM pump WHERE pump_id = 'p1'")
    await connection.execute(_LOST, pump, now - timedelta(hours=2), now - timedelta(hours=1))
    page = await board.visitor()
    await page.goto("/pumps/p1?span=6h")
    flow = page.get_by_role("img", name="Flow against program from")
    await expect(flow).to_have_attribute("aria-label", said("1 gaps"))
    await expect(page.get_by_text("Drawn from single readings; where nothing came, nothing is drawn.")).to_be_visible()
    await expect(page.get_by_text("22.2% above")).to_be_visible()
    today = now.date().isoformat()
    await page.get_by_label("From", exact=True).fill(today)
    await page.get_by_label("to", exact=True).fill(today)
    await page.get_by_role("button", name="Show").click()
    await expect(page).to_have_url(f"{board.url}/pumps/p1?from={today}&to={today}")
    await expect(page.get_by_role("heading", name="p1")).to_be_visible()
    await page.goto("/pumps/p1?from=2020-01-01&to=2020-01-02")
    await expect(page.get_by_text("Nothing came in this span.")).to_be_visible()


def said(part: str) -> re.Pattern[str]:
    return re.compile(re.escape(part))
