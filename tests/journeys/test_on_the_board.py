"""The main job as a clinician sees it, in a browser: an alert appears, is answered, and the clinic hears of both."""

import re
import time
from pathlib import Path

import asyncpg
import httpx
import pytest
from playwright.async_api import expect

from service.embedded.nats import NatsServer
from service.postgres.accounts import Role
from tests.journeys.test_message_to_webhook import HOUR_MS, clinic, fleet, register_fleet
from tests.test_supervise import up
from tests.web.serving import CHROMIUM, WITHIN_MS, chromium, enrol, visitor

SHOTS = Path("build/screenshots")
LONG_MS = 4 * WITHIN_MS
"""A fleet's hours of readings come first, on a machine that may have more to do."""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package chromium)")
async def test_a_clinician_sees_a_stall_appear_answers_it_and_the_clinic_is_told(
    postgres_url: str, connection: asyncpg.Connection, nats_server: NatsServer, tmp_path: Path
) -> None:
    await enrol(connection, ("dr-weber", Role.CLINICIAN, None))
    SHOTS.mkdir(parents=True, exist_ok=True)
    async with up(postgres_url, nats_server.mqtt_url, tmp_path) as service:
        token = (await service.line("administrator")).rpartition(" ")[2]
        await service.line("ready")
        await register_fleet(postgres_url, tmp_path / "fleet.csv")
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=f"{service.api_url}/api/v1", headers=headers, timeout=60) as api,
            clinic(api, tmp_path) as at_clinic,
            chromium() as browser,
        ):
            page = await visitor(browser, service.api_url, "dr-weber")
            page.context.set_default_timeout(LONG_MS)
            await expect(page.locator(".empty")).to_have_text("Nothing asks for an answer.", timeout=WITHIN_MS)
            await expect(page.locator(".degraded")).to_be_hidden(timeout=LONG_MS)
            await page.evaluate("window.neverReloaded = true")

            await fleet(nats_server.mqtt_url, "stall", time.time_ns() // 1_000_000 - 4 * HOUR_MS, hours=4)
            alert = page.locator("article", has_text="Stall, p")
            await expect(alert).to_be_visible(timeout=LONG_MS)
            await expect(alert).to_contain_text("told: clinic", timeout=LONG_MS)
            assert await page.evaluate("window.neverReloaded")
            alert_id = await alert.get_attribute("data-alert")
            assert alert_id is not None
            await page.screenshot(path=SHOTS / "journey-alert.png")

            await alert.get_by_role("button", name="Acknowledge").click()
            await page.get_by_role("dialog").get_by_label("Note").fill("on my way")
            await page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
            await expect(alert).to_contain_text("answered by dr-weber", timeout=LONG_MS)
            told = await at_clinic.told(alert_id, 2)
            assert [each["type"] for each in told] == ["alert.activated", "alert.acknowledged"]

            await alert.get_by_role("link").click()
            await expect(page.locator("h1")).to_contain_text("Stall, p", timeout=WITHIN_MS)
            await expect(page.get_by_text("on my way")).to_be_visible(timeout=WITHIN_MS)
            await expect(page.locator(".chart canvas")).to_be_visible(timeout=WITHIN_MS)
            await page.screenshot(path=SHOTS / "journey-why.png", full_page=True)

            await page.get_by_role("link", name="Everything about p").click()
            flow = page.get_by_role("img", name="Flow against program")
            await expect(flow).to_have_attribute("aria-label", re.compile("mL/d; .* 1 alerts"), timeout=WITHIN_MS)
            await expect(page.locator("article", has_text="Stall, p")).to_contain_text("answered by dr-weber")
            await page.screenshot(path=SHOTS / "journey-pump.png", full_page=True)
        assert "Traceback" not in service.log, service.log
