"""The list of alerts while somebody uses it: what they look at, have chosen or are about to press stays."""

from datetime import UTC, datetime, timedelta

import asyncpg
from playwright.async_api import expect

from service.core.change import Condition, Turn
from service.web.words import ago
from tests.episodes import turned
from tests.postgres.alerting import a_pump, apply
from tests.web.conftest import Board

_MANY = """
    INSERT INTO alert (id, subject, condition, kind, priority, state, state_since, latching, began_at, detected_at,
                       raised_at, detected_position, last_position, simulated, rulebook_version, evidence)
    SELECT gen_random_uuid(), 'site:s' || n, 'site_silence', 'technical', 'low', 'active', now(), false, now(), now(),
           now(), n, n, true, 'r', '{}' FROM generate_series(1, 500) AS n
"""


async def test_an_alert_keeps_its_element_and_its_focus_while_others_come_and_go(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await board.visitor()
    mine = page.locator("article", has_text="Bolus denied, p1")
    button = mine.get_by_role("button", name="Acknowledge")
    await mine.evaluate("element => element.mine = true")
    await button.focus()
    for number in range(3):
        pump = await a_pump(connection, f"new{number}")
        await apply(connection, turned(Turn.BEGAN, 30, Condition.STALL, pump=pump))
        await expect(page.get_by_role("status").first).to_contain_text(f"New alert, high priority: Stall, new{number}")
    await expect(page.locator("article")).to_have_count(12)
    await expect(page.locator("h2").first).to_have_text("Nobody has answered: 12")
    await expect(page).to_have_title("(12) Alerts · pumpwatch")
    assert await mine.evaluate("element => element.mine")
    await expect(button).to_be_focused()
    await page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("What to do now")
    await dialog.get_by_role("button", name="Acknowledge").click()
    await expect(mine).to_contain_text("answered by dr-weber")
    assert await mine.evaluate("element => element.mine"), "also where it has moved"


async def test_what_is_chosen_stands_in_the_address_and_can_be_sent(board: Board) -> None:
    page = await board.visitor()
    await expect(page.locator("article")).to_have_count(9)
    await page.get_by_role("combobox", name="Priority").click()
    await page.get_by_role("option", name="medium").click()
    await expect(page.locator("article")).to_have_count(3)
    await page.get_by_role("combobox", name="Site").click()
    await page.get_by_role("option", name="north").click()
    await expect(page.locator("article")).to_have_count(1)
    await expect(page).to_have_url(f"{board.url}/?site=north&priority=medium")
    await page.reload()
    await expect(page.locator("article")).to_have_count(1)
    await expect(page.locator("article")).to_contain_text("Under delivery, p1")


async def test_an_alert_is_shelved_from_the_list_with_a_reason_and_taken_back(board: Board) -> None:
    page = await board.visitor()
    alert = page.locator("article", has_text="Bolus denied, p1")
    await alert.get_by_role("button", name="Shelve").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Shelve").click()
    await expect(dialog).to_contain_text("A reason is needed")
    await dialog.get_by_label("Reason").fill("the patient trains with it")
    await dialog.get_by_role("button", name="Shelve").click()
    await expect(alert).to_contain_text("by dr-weber: the patient trains with it")
    await alert.get_by_role("button", name="Unshelve").click()
    await page.get_by_role("dialog").get_by_role("button", name="Unshelve").click()
    await expect(alert).not_to_contain_text("the patient trains with it")
    await expect(page.get_by_role("button", name="Shelve Stall, p1")).to_have_count(0)  # nobody may


async def test_it_says_when_more_are_open_than_are_shown(board: Board, connection: asyncpg.Connection) -> None:
    await connection.execute(_MANY)
    page = await board.visitor()
    await expect(page.locator(".notice")).to_have_text("509 alerts are open. These are the 500 most urgent of them.")
    await expect(page.locator("article")).to_have_count(500)
    await expect(page.locator("article").first).to_contain_text("Stall")


async def test_the_browser_says_times_as_the_server_does(board: Board) -> None:
    page = await board.visitor()
    now = datetime.now(UTC)
    for passed_s in (0, 4, 5, 29, 61, 600, 7_199, 7_260, 86_000, 172_740, 200_000, 4_000_000):
        script = f"import('/static/words.js').then(words => words.ago(0, {passed_s * 1000}))"
        assert await page.evaluate(script) == ago(now - timedelta(seconds=passed_s), now)
    assert await page.evaluate("import('/static/words.js').then(words => words.ago(null, 0))") == "never"


async def test_what_is_over_is_found_again(board: Board, connection: asyncpg.Connection) -> None:
    await connection.execute(
        "UPDATE alert SET state = 'resolved', resolved_at = began_at + interval '3 hours',"
        " acknowledged_at = raised_at + interval '4 minutes', acknowledged_by = 'dr-sato' WHERE condition = 'stall'"
    )
    page = await board.visitor("northerner")
    await page.get_by_role("link", name="What is over").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    row = page.get_by_role("row", name="Stall, p1")
    for said in ("▲ high", "3 h", "by dr-sato after 4 min", "north"):
        await expect(row).to_contain_text(said)
    await row.get_by_role("link").click()
    await expect(page.locator("h1")).to_contain_text("Stall, p1")
    await page.goto("/history?days=1")
    await expect(page.get_by_text("Nothing.")).to_be_visible()
