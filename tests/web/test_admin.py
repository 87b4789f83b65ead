"""An administrator sets the service up in a browser, and nobody else does."""

import re
from pathlib import Path

import asyncpg
from playwright.async_api import expect

from service.postgres import people
from service.postgres.accounts import Role
from tests.forks import Forks
from tests.patience import until_true
from tests.web.conftest import SHOTS, Board
from tests.web.pages import LEADS_ON, addresses
from tests.web.serving import log_in, running
from tests.web.steps import administrator, dialog, shown
from tests.webhooks.endpoint import Endpoint, answers


async def test_whoever_is_no_administrator_sees_none_of_it(board: Board, connection: asyncpg.Connection) -> None:
    pages = await addresses(connection)
    for name in ("viewer", "dr-weber"):
        page = await board.visitor(name)
        await expect(page.get_by_role("link", name="Admin")).to_have_count(0)
        for path in (LEADS_ON, *(path for path in pages.values() if path.startswith(LEADS_ON))):
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 403, path
            await expect(page.locator("h1")).to_have_text("This is not for your account")


async def test_who_is_an_administrator_no_more_does_nothing_on_a_page_that_is_still_open(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await administrator(board, "/admin/tokens")
    asked = await dialog(page, "Make a token")
    await asked.get_by_label("Name", exact=True).fill("late")
    await connection.execute("UPDATE account SET role = 'clinician' WHERE name = 'boss'")
    await asked.get_by_role("button", name="Make it").click()
    await expect(asked.get_by_role("alert")).to_contain_text("needs the role administrator")
    assert not await connection.fetchval("SELECT count(*) FROM token WHERE name = 'late'")


async def test_an_endpoint_is_added_and_a_test_of_it_is_watched_until_it_is_delivered(
    board: Board, connection: asyncpg.Connection, forks: Forks, tmp_path: Path
) -> None:
    settings = {"PUMPWATCH_DATABASE_URL": board.database_url, "PUMPWATCH_BROKER_URL": "mqtt://127.0.0.1:1"}
    delivering = running("deliver", settings, tmp_path / "deliver.log", forks)
    async with Endpoint() as endpoint, delivering:
        endpoint.conducts.append(answers(503))
        page = await administrator(board, "/admin/endpoints")
        asked = await dialog(page, "Add an endpoint")
        await asked.get_by_label("Name", exact=True).fill("ward 7")
        await asked.get_by_label("Address").fill("http://198.51.100.1/")
        await asked.get_by_role("button", name="Add").click()
        await expect(asked).to_contain_text("must begin with https://")
        await asked.get_by_label("Address").fill(endpoint.url)
        await asked.get_by_role("button", name="Add").click()
        secret = page.get_by_role("dialog", name="The secret of ward 7")
        await expect(secret.get_by_role("textbox")).to_have_value(re.compile("^whsec_"))
        await secret.get_by_role("button", name="I have kept it").click()
        await page.get_by_role("link", name="ward 7").click()
        await expect(page.locator("h1")).to_have_text("ward 7")
        await expect(page.locator("main[inert]")).to_have_count(0)
        await page.get_by_role("button", name="Test it").click()
        await expect(page.locator(".said")).to_contain_text("The test was delivered", timeout=60_000)
        await expect(page.locator(".said")).to_contain_text(re.compile(r"Tried \d+ times"))
        await page.screenshot(path=SHOTS / "admin-endpoint-light.png", full_page=True)
        await until_true(lambda: len(endpoint.requests) >= 2, "the test to arrive")
        assert endpoint.requests[-1].body["type"] == "endpoint.test"
        await page.get_by_role("link", name="Every attempt").click()
        await expect(page.get_by_role("cell", name="503")).to_be_visible()
        await page.screenshot(path=SHOTS / "admin-delivery-light.png", full_page=True)
    written = await connection.fetch("SELECT actor FROM audit WHERE action IN ('endpoint_added', 'endpoint_tested')")
    assert [row["actor"] for row in written] == ["boss", "boss"]


async def test_an_endpoint_is_disabled_and_two_who_change_it_at_once_are_told(board: Board) -> None:
    page, other = [await administrator(board, "/admin/endpoints") for _ in range(2)]
    for each in (page, other):
        await each.get_by_role("link", name="clinic").click()
        await expect(each.locator("main[inert]")).to_have_count(0)
        await dialog(each, "Change")
    for each, name in ((page, "first"), (other, "second")):
        asked = each.get_by_role("dialog")
        await asked.get_by_label("Name", exact=True).fill(name)
        await asked.get_by_role("button", name="Change").click()
        if each is page:
            await expect(each.locator("#page")).to_contain_text("first")
    await expect(other.get_by_role("dialog").get_by_role("alert")).to_contain_text("somebody else has changed it")
    asked = await dialog(page, "Disable")
    await asked.get_by_role("button", name="Disable").click()
    await expect(page.locator("#page")).to_contain_text("Disabled: by boss")


async def test_somebody_is_let_in_by_a_link_changed_and_disabled(board: Board, connection: asyncpg.Connection) -> None:
    page = await administrator(board, "/admin/people")
    asked = await dialog(page, "Add somebody")
    await asked.get_by_label("Name", exact=True).fill("nurse")
    await asked.get_by_role("button", name="Add").click()
    link = page.get_by_role("dialog", name="Link to log in")
    address = await link.get_by_role("textbox").input_value()
    await link.get_by_role("button", name="I have kept it").click()
    nurse = await board.visitor("")
    await nurse.goto(address)
    await nurse.wait_for_url(f"{board.url}/")
    await expect(nurse.locator("h1")).to_have_text("Alerts")
    await shown(page, "/admin/people/nurse")
    asked = await dialog(page, "Change")
    await asked.get_by_role("checkbox", name="Disabled").click()
    await asked.get_by_role("button", name="Change").click()
    await expect(page.locator("#page")).to_contain_text(re.compile("Disabled .*(now|ago)"))
    await nurse.wait_for_url(f"{board.url}/login*")
    assert await people.accounts(connection)


async def test_a_password_is_set_and_one_that_is_easy_to_guess_is_not(board: Board) -> None:
    page = await administrator(board, "/admin/people/dr-sato")
    asked = await dialog(page, "Set a password")
    await asked.get_by_label("New password").fill("dr-sato-dr-sato")
    await asked.get_by_role("button", name="Set it").click()
    await expect(asked).to_contain_text("too easy to guess")
    await asked.get_by_label("New password").fill("eleven brown horses")
    await asked.get_by_role("button", name="Set it").click()
    await expect(page.get_by_text("The password is set")).to_be_visible()
    sato = await board.visitor("")
    await sato.goto("/login")
    await log_in(sato, "dr-sato", "eleven brown horses")
    await expect(sato.locator("h1")).to_have_text("Alerts")


async def test_a_token_is_shown_once_and_revoked(board: Board, connection: asyncpg.Connection) -> None:
    page = await administrator(board, "/admin/tokens")
    asked = await dialog(page, "Make a token")
    await asked.get_by_label("Name", exact=True).fill("grafana")
    await asked.get_by_label("Until the end of").fill("2020-01-01")
    await asked.get_by_role("button", name="Make it").click()
    await expect(asked).to_contain_text("is over already")
    await asked.get_by_label("Until the end of").fill("2099-01-01")
    await asked.get_by_role("button", name="Make it").click()
    made = page.get_by_role("dialog", name="The token grafana")
    await expect(made.get_by_role("textbox")).to_have_value(re.compile("^pumpwatch_"))
    await made.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_role("row", name="grafana")).to_contain_text("2099-01-01")
    await page.get_by_role("button", name="Revoke grafana").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("heading", name="No longer in use")).to_be_visible()
    row = await connection.fetchrow("SELECT role, revoked_at IS NOT NULL AS over FROM token WHERE name = 'grafana'")
    assert tuple(row) == (Role.VIEWER, True)
