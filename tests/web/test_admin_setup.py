"""An administrator says who is on call, what a pump is, by what it is judged, and looks at what was kept aside."""

import asyncpg
from playwright.async_api import Page, expect

from service.core.registry import COLUMNS
from service.postgres import people
from service.postgres.accounts import Role
from tests.web.conftest import SHOTS, Board
from tests.web.pages import keep_aside
from tests.web.steps import administrator, chosen, dialog, shown

CSV = f"""{",".join(COLUMNS)}
new1,north,Europe/Zurich,rotor-20,rotor,computed,20,baclofen,baclofen,500,60,2099-01-31,true,true,,
p1,north,UTC,unknown,rotor,computed,40,unknown,baclofen,500,60,,true,true,,
"""


async def read_file(page: Page, name: str, text: str) -> None:
    await page.get_by_label("Read a CSV file").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    )


async def test_a_registry_is_looked_at_imported_and_taken_back(board: Board, connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE pump SET registered = true WHERE pump_id = 'p1'")
    page = await administrator(board, "/admin/registry")
    await read_file(page, "wrong.csv", CSV.replace("rotor,computed,40", "rotor,computed,-4"))
    await expect(page.get_by_role("row", name="capacity_ml")).to_contain_text("3")
    await expect(page.get_by_role("button", name="Import", exact=True)).to_have_count(0)
    many = "".join(
        f"many{n},north,Europe/Zurich,rotor-20,rotor,computed,20,baclofen,baclofen,500,60,,true,true,,\n"
        for n in range(9_000)
    )
    await read_file(page, "many.csv", ",".join(COLUMNS) + "\n" + many)
    await expect(page.get_by_text("9,000 new, 0 changed, 0 as they are")).to_be_visible()
    await read_file(page, "fleet.csv", CSV)
    await expect(page.get_by_text("1 new, 1 changed, 0 as they are")).to_be_visible()
    row = page.get_by_role("row", name="capacity_ml")
    await expect(row).to_contain_text("20")
    await expect(row).to_contain_text("40")
    await page.screenshot(path=SHOTS / "admin-differences-light.png", full_page=True)
    asked = await dialog(page, "Import")
    await asked.get_by_role("button", name="Import").click()
    made = page.get_by_role("row", name="fleet.csv")
    await expect(made).to_contain_text("boss")
    capacity = "SELECT capacity_ml FROM pump WHERE pump_id = 'p1'"
    assert await connection.fetchval(capacity) == 40
    await page.get_by_role("button", name="Undo the import of fleet.csv").click()
    await page.get_by_role("dialog").get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("row", name="fleet.csv")).to_contain_text("undone by boss")
    assert await connection.fetchval(capacity) == 20
    assert not await connection.fetchval("SELECT count(*) FROM pump WHERE pump_id = 'new1' AND registered")


async def test_a_rota_a_policy_and_a_rule_are_made_and_say_who_would_be_told(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await administrator(board, "/admin/on-call")
    asked = await dialog(page, "Add a contact")
    await asked.get_by_label("Name", exact=True).fill("dr Sato")
    await asked.get_by_role("button", name="Keep").click()
    await expect(asked).to_contain_text("choose at least one")
    await chosen(page, asked, "Reached by", "clinic")
    await asked.get_by_role("button", name="Keep").click()
    await expect(page.get_by_role("row", name="dr Sato")).to_contain_text("clinic")
    asked = await dialog(page, "Add a rota")
    await asked.get_by_label("Name", exact=True).fill("night")
    await asked.get_by_label("Contacts").fill("dr Sato\ndr Nobody")
    await asked.get_by_role("button", name="Keep").click()
    await expect(asked).to_contain_text("there is no contact 'dr Nobody'")
    await asked.get_by_label("Contacts").fill("dr Sato")
    await asked.get_by_role("button", name="Keep").click()
    await expect(page.get_by_role("row", name="night")).to_contain_text("dr Sato")
    await page.screenshot(path=SHOTS / "admin-on-call-filled-light.png", full_page=True)

    await shown(page, "/admin/policies")
    asked = await dialog(page, "Add a policy")
    await asked.get_by_label("Name", exact=True).fill("ward")
    await chosen(page, asked, "Step 1: who", "rota night")
    await asked.get_by_label("Step 2: after, min").fill("0")
    await chosen(page, asked, "Step 2: who", "contact dr Sato")
    await asked.get_by_role("button", name="Keep").click()
    await expect(asked).to_contain_text("must be later than the step before")
    await asked.get_by_label("Step 2: after, min").fill("5")
    await asked.get_by_role("button", name="Keep").click()
    await expect(page.get_by_role("row", name="ward")).to_contain_text("after 5 min: contact dr Sato")
    asked = await dialog(page, "Add a rule")
    await chosen(page, asked, "Priority", "high")
    await asked.get_by_role("button", name="Keep").click()
    await expect(page.get_by_role("button", name="Remove rule 1")).to_be_visible()
    await page.get_by_role("checkbox", name="As of a simulated pump").click()
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("Policy ward")).to_be_visible()
    await expect(page.get_by_role("row", name="step 2")).to_contain_text("clinic")
    await page.screenshot(path=SHOTS / "admin-policies-filled-light.png", full_page=True)
    written = await connection.fetch("SELECT DISTINCT changed_by FROM escalation_policy")
    assert [row["changed_by"] for row in written] == ["boss"]


async def test_of_two_who_change_a_contact_at_once_the_second_is_told(
    board: Board, connection: asyncpg.Connection
) -> None:
    await people.add(connection, "chief", Role.ADMINISTRATOR, "test")
    await connection.execute(
        """INSERT INTO escalation_policy (kind, name, version, document, changed_at, changed_by)
           VALUES ('contact', 'ward', 1, '{"name": "ward", "endpoints": ["clinic"]}', now(), 'chief')"""
    )
    page = await administrator(board, "/admin/on-call")
    await page.get_by_role("button", name="Change ward").click()
    asked = page.get_by_role("dialog")
    await chosen(page, asked, "Is a", "role")
    await connection.execute(
        """INSERT INTO escalation_policy (kind, name, version, document, changed_at, changed_by)
           VALUES ('contact', 'ward', 2, '{"name": "ward", "endpoints": ["clinic"]}', now(), 'chief')"""
    )
    await asked.get_by_role("button", name="Keep").click()
    await expect(asked.get_by_role("alert")).to_contain_text("somebody else has changed it")


async def test_a_value_is_set_over_the_rulebook_within_bounds_and_says_what_it_changes(
    board: Board, connection: asyncpg.Connection
) -> None:
    page = await administrator(board, "/admin/overrides")
    asked = await dialog(page, "Set a value")
    await asked.get_by_label("Id of the pump").fill("p1")
    await asked.get_by_label("Value").fill("20")
    await expect(asked.get_by_text("watched less closely")).to_be_visible()
    await asked.get_by_label("Value").fill("200")
    await asked.get_by_role("button", name="Set").click()
    await expect(asked).to_contain_text("outside 1 to 100")
    await asked.get_by_label("Value").fill("20")
    await asked.get_by_role("button", name="Set").click()
    await expect(asked).to_contain_text("missing: reason and expires")
    await asked.get_by_label("Why").fill("titration")
    await asked.get_by_label("Until the end of").fill("2099-01-01")
    await asked.get_by_role("button", name="Set").click()
    row = page.get_by_role("row", name="pump p1")
    await expect(row).to_contain_text("watched less closely; by default 10")
    await expect(row).to_contain_text("titration")
    await page.screenshot(path=SHOTS / "admin-overrides-filled-light.png", full_page=True)
    await page.get_by_role("button", name="End stall.missed_ul for pump p1").click()
    await page.get_by_role("dialog").get_by_role("button", name="End").click()
    await expect(page.get_by_text("No longer in force: 1")).to_be_visible()
    assert await connection.fetchval("SELECT ended_by FROM rule_override") == "boss"


async def test_what_was_kept_aside_is_found_by_its_reason_and_read(
    board: Board, connection: asyncpg.Connection
) -> None:
    number = await keep_aside(connection, "malformed", b"{not json")
    await keep_aside(connection, "too_deep", b"\xff\x00")
    page = await administrator(board, "/admin/quarantine")
    await expect(page.get_by_text("malformed: 1, too deep: 1")).to_be_visible()
    await shown(page, "/admin/quarantine?reason=malformed")
    await expect(page.get_by_role("row", name="malformed")).to_be_visible()
    await expect(page.get_by_role("row", name="too deep")).to_have_count(0)
    await page.get_by_role("link", name=str(number), exact=True).click()
    await expect(page.get_by_text("{not json")).to_be_visible()
    await page.screenshot(path=SHOTS / "admin-message-light.png", full_page=True)
    asked = await dialog(page, "Drop it")
    await asked.get_by_role("button", name="Drop", exact=True).click()
    await expect(asked).to_contain_text("at least 1 character")
    await asked.get_by_label("Why it is not needed").fill("a test of the vendor's")
    await asked.get_by_role("button", name="Drop", exact=True).click()
    await expect(page.get_by_text("dropped by boss")).to_be_visible()
    await expect(page.get_by_role("button", name="Read it again")).to_have_count(0)
    await shown(page, "/admin/quarantine?reason=too_deep")
    asked = await dialog(page, "Read all of these again")
    await asked.get_by_role("button", name="Read again").click()
    await expect(page.get_by_text("1 are read again")).to_be_visible()
    states = await connection.fetch("SELECT drop_reason, replay_asked_by FROM quarantine ORDER BY id")
    assert [tuple(row) for row in states] == [("a test of the vendor's", None), (None, "boss")]
    await shown(page, "/admin/quarantine/999")
    await expect(page.get_by_text("there is no quarantined message 999")).to_be_visible()
