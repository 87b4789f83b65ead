"""A clinician records on a pump's page what the pump cannot say."""

from datetime import UTC, datetime, timedelta

import asyncpg
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from service.web.recording import LATEST
from tests.web.conftest import SHOTS, Board
from tests.web.looks import looks_well
from tests.web.steps import at_rest, dialog, shown

FORMS = ("Record a refill", "MRI exam", "Planned absence", "Exchange the pump", "Take out of service")


async def at_the_pump(board: Board, name: str = "dr-weber", *, width: int = 1200, dark: bool = False) -> Page:
    page = await board.visitor(name, width=width, dark=dark)
    await shown(page, "/pumps/p1")
    return page


async def listed(connection: asyncpg.Connection, pump_id: str = "p1") -> None:
    """As an import would have entered it."""
    await connection.execute(
        "UPDATE pump SET registered = true, time_zone = 'Europe/Zurich' WHERE pump_id = $1", pump_id
    )


async def test_a_refill_is_recorded_with_what_was_filled_in_and_what_is_wrong_is_said(
    board: Board, connection: asyncpg.Connection
) -> None:
    await listed(connection)
    page = await at_the_pump(board)
    asked = await dialog(page, "Record a refill")
    await expect(asked).to_contain_text("The pump said 18.00 mL last")
    await asked.get_by_role("button", name="Record").click()
    await expect(asked.get_by_text("Field required")).to_be_visible()
    await asked.get_by_label("Filled to, mL").fill("120")
    await asked.get_by_role("button", name="Record").click()
    await expect(asked.get_by_text("less than or equal to 100")).to_be_visible()
    await asked.get_by_label("Filled to, mL").fill("20")
    await asked.get_by_label("Drawn off before, mL").fill("2.6")
    await asked.get_by_label("Concentration, µg/mL").fill("1000")
    await asked.get_by_label("Next refill").fill("2099-01-31")
    await asked.get_by_label("Note").fill("As planned")
    await asked.get_by_role("button", name="Record").click()
    await expect(asked).to_have_count(0)
    await page.get_by_text("Recorded by people: 1").click()
    row = page.get_by_role("row", name="As planned")
    await expect(row).to_contain_text("Refill, filled to 20 mL, 2.6 mL drawn off")
    await expect(row).to_contain_text("dr-weber")
    pump = await connection.fetchrow("SELECT concentration_ug_ml, next_refill_on::text FROM pump WHERE pump_id = 'p1'")
    assert tuple(pump) == (1000.0, "2099-01-31")
    said = await connection.fetch("SELECT actor FROM audit WHERE subject = 'p1' AND action = 'refill_recorded'")
    assert [row["actor"] for row in said] == ["dr-weber"]


async def test_an_exam_is_told_of_in_the_time_of_the_wall_and_ended_before_its_time(
    board: Board, connection: asyncpg.Connection
) -> None:
    await listed(connection)
    page = await at_the_pump(board)
    asked = await dialog(page, "MRI exam")
    await asked.get_by_label("Until (Europe/Zurich)").fill("2020-01-01T10:00")
    await asked.get_by_role("button", name="Record").click()
    await expect(asked.get_by_text("must be later than")).to_be_visible()
    now = datetime.now(UTC)
    offset = await connection.fetchval("SELECT ($1::timestamptz AT TIME ZONE 'Europe/Zurich')", now)
    await asked.get_by_label("From (Europe/Zurich)").fill(f"{offset + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    await asked.get_by_label("Until (Europe/Zurich)").fill(f"{offset + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    await asked.get_by_role("button", name="Record").click()
    await expect(page.locator(".said", has_text="MRI exam")).to_contain_text("recorded by dr-weber")
    begins = await connection.fetchval("SELECT from_at FROM care WHERE kind = 'mri_window'")
    assert abs(begins - now - timedelta(hours=1)) < timedelta(minutes=1)
    await page.get_by_text("Recorded by people: 1").click()
    await page.get_by_role("button", name="End the mri exam").click()
    await page.get_by_role("dialog").get_by_role("button", name="End").click()
    await expect(page.locator(".said", has_text="MRI exam")).to_have_count(0)
    assert await connection.fetchval("SELECT ended_by FROM care WHERE kind = 'mri_window'") == "dr-weber"


async def test_a_planned_absence_stands_at_the_pump_for_everybody(board: Board) -> None:
    page, viewer = await at_the_pump(board), await at_the_pump(board, "viewer")
    asked = await dialog(page, "Planned absence")
    await asked.get_by_label("Note").fill("Holiday")
    await asked.get_by_role("button", name="Record").click()
    for each in (page, viewer):
        await expect(each.locator(".said", has_text="Planned absence")).to_contain_text("Holiday")
    for name in FORMS:
        await expect(viewer.get_by_role("button", name=name)).to_have_count(0)
    again = await dialog(page, "Planned absence")
    await again.get_by_role("button", name="Record").click()
    await expect(again.get_by_role("alert")).to_contain_text("dr-weber has recorded an absence")


async def test_what_still_stands_is_shown_however_much_was_recorded_since(
    board: Board, connection: asyncpg.Connection
) -> None:
    pump = await connection.fetchval("SELECT pump FROM pump WHERE pump_id = 'p1'")
    now = datetime.now(UTC)
    absence = "INSERT INTO care (pump, kind, from_at, until_at, body, note, recorded_at, recorded_by) "
    await connection.execute(
        absence + "VALUES ($1, 'absence', $2, $3, '{}', 'A long journey', $2, 'dr-weber')",
        *(pump, now - timedelta(days=30), now + timedelta(days=30)),
    )
    await connection.execute(
        absence + "SELECT $1, 'refill', $2, NULL, '{}', '', $2, 'dr-weber' FROM generate_series(1, $3)",
        *(pump, now - timedelta(hours=1), LATEST + 5),
    )
    page = await at_the_pump(board)
    await expect(page.locator(".said", has_text="Planned absence")).to_contain_text("A long journey")
    await page.get_by_text("Recorded by people").click()
    await page.get_by_role("button", name="End the planned absence").click()
    await page.get_by_role("dialog").get_by_role("button", name="End").click()
    await expect(page.locator(".said", has_text="Planned absence")).to_have_count(0)


async def test_a_pump_is_taken_out_of_service_and_put_back(board: Board, connection: asyncpg.Connection) -> None:
    page = await at_the_pump(board)
    asked = await dialog(page, "Take out of service")
    await asked.get_by_label("Why").fill("In repair")
    await asked.get_by_role("button", name="Take it out").click()
    await expect(page.locator(".said", has_text="Out of service")).to_contain_text("In repair")
    assert await connection.fetchval("SELECT NOT in_service FROM pump WHERE pump_id = 'p1'")
    asked = await dialog(page, "Put back into service")
    await asked.get_by_role("button", name="Put it back").click()
    await expect(page.locator(".said", has_text="Out of service")).to_have_count(0)
    await expect(page.get_by_role("button", name="Take out of service")).to_be_visible()
    assert await connection.fetchval("SELECT in_service FROM pump WHERE pump_id = 'p1'")


async def test_another_pump_takes_its_place_and_each_leads_to_the_other(
    board: Board, connection: asyncpg.Connection
) -> None:
    await listed(connection)
    page = await at_the_pump(board)
    asked = await dialog(page, "Exchange the pump")
    await asked.get_by_label("Id of the new pump").fill("p2")
    await asked.get_by_label("Capacity, mL").fill("40")
    await listed(connection, "p2")
    await asked.get_by_role("button", name="Exchange").click()
    await expect(asked.get_by_role("alert")).to_contain_text("p2 is listed already")
    await asked.get_by_label("Id of the new pump").fill("p9")
    await asked.get_by_role("button", name="Exchange").click()
    await page.get_by_role("link", name="p9").click()
    await expect(page.locator("h1")).to_have_text("p9")
    await expect(page.get_by_text("It took the place of")).to_be_visible()
    row = await connection.fetchrow("SELECT site, capacity_ml, in_service FROM pump WHERE pump_id = 'p9'")
    assert tuple(row) == ("north", 40.0, True)


async def test_nobody_records_whose_rights_have_gone_since_the_page_was_opened(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await at_the_pump(board)
    asked = await dialog(page, "Planned absence")
    await connection.execute("UPDATE account SET sites = '{o''brien}' WHERE name = 'dr-weber'")
    await asked.get_by_role("button", name="Record").click()
    await expect(asked.get_by_role("alert")).to_contain_text("there is no pump p1")
    await connection.execute("UPDATE account SET role = 'viewer', sites = NULL WHERE name = 'dr-weber'")
    await asked.get_by_role("button", name="Record").click()
    await expect(asked.get_by_role("alert")).to_contain_text("needs the role clinician")
    assert not await connection.fetchval("SELECT count(*) FROM care")


async def test_what_is_filled_in_can_be_used_by_everybody_in_any_light_and_on_a_phone(
    board: Board, connection: asyncpg.Connection
) -> None:
    await listed(connection)
    axe = Axe()
    for width, dark in ((1200, False), (390, True)):
        page = await at_the_pump(board, width=width, dark=dark)
        kind = f"{'phone' if width < 500 else 'wide'}-{'dark' if dark else 'light'}"
        for name in FORMS:
            asked = await dialog(page, name)
            await at_rest(asked)
            await looks_well(page, axe, SHOTS / f"record-{name.split()[0].lower()}-{kind}.png")
            await asked.get_by_role("button", name="Cancel").click()
            await expect(asked).to_have_count(0)
