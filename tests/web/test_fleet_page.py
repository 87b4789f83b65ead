"""The fleet while somebody uses it: sorted, narrowed and paged on the server, current without being made anew."""

from datetime import UTC, datetime, timedelta

import asyncpg
from playwright.async_api import expect

from tests.web.conftest import Board

_MANY = """
    INSERT INTO pump (pump_id, site, drug_class, interval_s, simulated)
    SELECT 'm' || lpad(n::text, 4, '0'), 'north', 'opioid', 60, true FROM generate_series(1, 240) AS n
"""
_HEARD = (
    "UPDATE pump_latest SET received_at = $1, battery_v = $2 WHERE pump = (SELECT pump FROM pump WHERE pump_id = $3)"
)


async def test_a_row_stays_while_its_values_change(board: Board, connection: asyncpg.Connection) -> None:
    page = await board.visitor()
    await page.goto("/pumps")
    row = page.locator("tr[data-pump=p1]")
    await expect(row).to_contain_text("98%")
    await expect(row.locator("svg")).to_have_attribute("aria-label", "Flow of the last day; now 98% of the program")
    await row.evaluate("element => element.mine = true")
    await row.get_by_role("link").focus()
    await expect(row.get_by_role("link")).to_be_focused()
    await connection.execute(_HEARD, datetime.now(UTC), 2.75, "p1")
    await expect(row).to_contain_text("2.75 V")
    assert await row.evaluate("element => element.mine")
    await expect(row.get_by_role("link")).to_be_focused()


async def test_who_is_not_heard_never_looks_healthy(board: Board, connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE alert SET state = 'resolved', resolved_at = now()")
    await connection.execute(_HEARD, datetime.now(UTC) - timedelta(hours=1), 2.9, "p2")
    page = await board.visitor()
    await page.goto("/pumps?state=fine")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tr[data-pump=p1]")).to_contain_text("running")
    await page.goto("/pumps?state=unknown")
    await expect(page.locator("tbody tr")).to_have_count(2)
    late, never = (page.locator(f"tr.unknown[data-pump={name}]") for name in ("p2", "p3"))
    for said in ("unknown: overdue", "was 98%", "was 2.90 V", "60 min ago"):
        await expect(late).to_contain_text(said)
    await expect(never).to_contain_text("unknown: never heard")
    await page.goto("/pumps/p2")
    await expect(page.locator(".notice")).to_contain_text("how it is doing is unknown")


async def test_thousands_are_paged_sorted_and_narrowed_on_the_server_and_the_address_says_how(
    board: Board, connection: asyncpg.Connection
) -> None:
    await connection.execute(_MANY)
    page = await board.visitor()
    await page.goto("/pumps")
    count, rows = page.locator(".count"), page.locator("tbody tr")
    await expect(count).to_have_text("243 pumps, of which these are 1 to 100")
    await page.get_by_role("button", name="Those after").click()
    await expect(count).to_have_text("243 pumps, of which these are 101 to 200")
    await expect(page).to_have_url(f"{board.url}/pumps?page=2")
    await page.reload()
    await expect(count).to_have_text("243 pumps, of which these are 101 to 200")
    await page.get_by_role("button", name="Pump", exact=True).click()
    await expect(rows.first).to_contain_text("m0001")
    await expect(page).to_have_url(f"{board.url}/pumps?sort=pump")
    await page.get_by_label("Part of the id").fill("M000")
    await expect(rows).to_have_count(9)
    await expect(page).to_have_url(f"{board.url}/pumps?q=M000&sort=pump")
    await page.goto("/pumps?verdict=stall&low=5&site=north")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("p1")
