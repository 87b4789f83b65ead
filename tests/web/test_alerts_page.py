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

_COUNT_BEEPS = """
    window.beeps = 0;
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...when) { window.beeps += 1; return start.apply(this, when); };
"""


async def test_an_alert_keeps_its_element_and_its_focus_while_others_come_and_go(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await board.visitor()
    mine = page.locator("article", has_text="Bolus denied, p1")
    button = mine.get_by_role("button", name="Acknowledge")
    await mine.evaluate("element => element.mine = true")
    await expect(button).to_be_visible()  # until the styles are there, nothing can be focused
    await button.focus()
    await expect(button).to_be_focused()
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


async def test_who_wants_a_sound_hears_one_of_what_is_high_alone_and_still_does_after_a_reload(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await board.visitor()
    await page.add_init_script(_COUNT_BEEPS)
    await page.get_by_label("Sound for high priority").check()
    await page.reload()
    await expect(page.locator("article").first).to_be_visible()
    await expect(page.get_by_label("Sound for high priority")).to_be_checked()
    for condition, beeps in ((Condition.BATTERY_LOW, 0), (Condition.STALL, 1)):
        pump = await a_pump(connection, f"p-{condition}")
        await apply(connection, turned(Turn.BEGAN, 30, condition, pump=pump))
        await expect(page.locator("article", has_text=f"p-{condition}")).to_be_visible()
        await page.wait_for_function("beeps => window.beeps >= beeps", arg=beeps)
        assert await page.evaluate("window.beeps") == beeps


async def test_what_asks_again_is_said_again(board: Board, connection: asyncpg.Connection) -> None:
    page = await board.visitor()
    alert = page.locator("article", has_text="Bolus denied, p1")
    await alert.get_by_role("button", name="Acknowledge").click()
    await page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    await expect(alert).to_contain_text("answered by dr-weber")
    async with connection.transaction():  # the page reads both at once
        await connection.execute(
            "UPDATE alert SET acknowledged_at = NULL, acknowledged_by = NULL, priority = 'medium'"
            " WHERE acknowledged_by = 'dr-weber'"
        )
        pump = await a_pump(connection, "p9")
        await apply(connection, turned(Turn.BEGAN, 30, Condition.STALL, pump=pump))
    news = page.get_by_role("status").filter(has_text="p9")
    await expect(news).to_contain_text("New alert, high priority: Stall, p9")
    await expect(news).to_contain_text("Asks again, medium priority: Bolus denied, p1")


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
    await expect(page.get_by_text("Nothing that is over was raised in this time.")).to_be_visible()


async def test_an_alert_says_the_dose_beside_the_volume_where_it_is_known(
    board: Board, connection: asyncpg.Connection
) -> None:
    await connection.execute("""UPDATE alert SET evidence = '{"program_ml_d": 0.5}' WHERE condition = 'stall'""")
    page = await board.visitor()
    await page.get_by_role("link", name="Stall, p1").click()
    await expect(page.get_by_text("Programmed: 0.500 mL/d = 250 µg/d")).to_be_visible()
    await page.goto("/")
    await page.get_by_role("link", name="Stall, p2").click()
    await expect(page.get_by_role("heading", name="Stall, p2")).to_be_visible()
    await expect(page.get_by_text("Programmed:")).to_be_hidden()
