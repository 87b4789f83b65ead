"""How soon does a clinician see it? In Chromium, with a fleet: a page that can be used, a value and an alert on it.

An alert goes the whole way: a reading is sent to the broker, judged, stored, and the browser notes when its element is
on the page of alerts. Everything runs on this one machine, Chromium included.
"""

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiomqtt
import asyncpg
import numpy as np
from playwright.async_api import Browser, Page

from service.postgres.accounts import Role
from tests.benchmarks.ground import NATS, Ground, SkippedError
from tests.benchmarks.roles import running
from tests.web.serving import CHROMIUM, chromium, enrol, serving, visitor

PUMPS = 10_000
PROBE_EVERY_S = 0.25
SETTLE_IN_S = 2.0
SHOWN = 100
MINUTES = 1_440
WHO = "dr-weber"

# What was heard of everybody within the last minute.
_HEARD = """
    INSERT INTO pump_latest (pump, received_at, measured_at, position, program_ml_d, flow_ml_d, reservoir_ml, battery_v,
                             mode, empty_judged, empty_nominal_d, empty_conservative_d, empty_optimistic_d)
    SELECT pump, $1, $1, 1::bigint << 40, 0.5, 0.49, 18, 2.9, 0, true, 36, 33, 38 FROM pump
"""
# A day of readings of those that are on the first page.
_DAY = """
    INSERT INTO stored_reading (measured_at, position, received_after_ms, pump, program_100nl_d, flow_100nl_d,
                                reservoir_ul, battery_mv, mode)
    SELECT $1::timestamptz - minute * interval '1 minute', (1::bigint << 40) - minute, 900, pump, 5000,
           4900 + minute % 200, 18000, 2900, 0
    FROM (SELECT pump FROM pump ORDER BY pump_id LIMIT $2) AS first, generate_series(1, $3::integer) AS minute
"""
_CAN_BE_USED = f"""
    () => document.querySelectorAll("table.fleet tbody tr").length === {SHOWN} && !document.querySelector("main[inert]")
"""
# When each new alert was on the page, by its pump, in the browser's clock, which is this machine's.
_WATCH = """
    window.seen = {};
    new MutationObserver(() => {
        for (const link of document.querySelectorAll("article a.title")) {
            window.seen[link.textContent.split(", ")[1]] ??= Date.now();
        }
    }).observe(document.body, {childList: true, subtree: true});
"""


async def measure(ground: Ground, pumps: int, probes: int, rounds: int) -> dict[str, float]:
    """`board.fleet_s`, `board.value_s` and `board.alert_p99_ms`; so many `rounds` of the first two."""
    if CHROMIUM is None:
        raise SkippedError("no Chromium on this machine (Debian: apt-get install chromium)")
    with ground.broker(NATS) as broker:
        async with (
            ground.database(max(pumps, SHOWN)) as database_url,
            running("ingest", ground.directory, database_url, broker.url),
            chromium() as browser,
        ):
            connection = await asyncpg.connect(database_url)
            try:
                await filled(connection)
                async with serving(database_url, ground.directory) as url:
                    fleet_s, value_s = await _fleet(browser, url, connection, rounds)
                    page = await visitor(browser, url, WHO)
                    alert_ms = await _alerts(page, broker.url, probes)
            finally:
                await connection.close()
    return {"board.fleet_s": fleet_s, "board.value_s": value_s, "board.alert_p99_ms": alert_ms}


async def filled(connection: asyncpg.Connection) -> None:
    """Everybody was heard within the last minute, and a day of readings is stored of those on the first page."""
    now = datetime.now(UTC)
    await connection.execute(_HEARD, now)
    await connection.execute(_DAY, now, SHOWN, MINUTES)
    await connection.execute("ANALYZE")
    await enrol(connection, (WHO, Role.CLINICIAN, None))


async def _fleet(browser: Browser, url: str, connection: asyncpg.Connection, rounds: int) -> tuple[float, float]:
    """Seconds until the page of the fleet can be used, with nothing kept from before; and until it says a new value."""
    loads = []
    for _ in range(rounds):
        page = await visitor(browser, url, WHO)
        began_at = time.monotonic()
        await page.goto("/pumps", wait_until="commit")
        await page.wait_for_function(_CAN_BE_USED)
        loads.append(time.monotonic() - began_at)
        if len(loads) < rounds:
            await page.context.close()
    await page.wait_for_selector("table.fleet svg")
    pump_id = await page.locator("table.fleet tbody th").first.inner_text()
    changes = []
    for number in range(2 * rounds):
        volts = 2.5 + number / 100
        began_at = time.monotonic()
        await connection.execute(
            "UPDATE pump_latest SET battery_v = $1 WHERE pump = (SELECT pump FROM pump WHERE pump_id = $2)",
            volts,
            pump_id,
        )
        await page.get_by_text(f"{volts:.2f} V").wait_for()
        changes.append(time.monotonic() - began_at)
    await page.context.close()
    return statistics.median(loads), max(changes)


async def _alerts(page: Page, broker_url: str, probes: int) -> float:
    """The 99th percentile of what an alert takes from its reading's sending to the page, ms."""
    await page.wait_for_function("() => !document.querySelector('main[inert]')")
    await page.evaluate(_WATCH)
    at = urlsplit(broker_url)
    sent_at_ms: dict[str, float] = {}
    async with aiomqtt.Client(at.hostname or "", at.port or 1883, identifier="probe") as client:
        for number in range(probes):
            await client.publish(_topic(number), _reading(0, reservoir_ml=18.0), qos=1)
        await asyncio.sleep(SETTLE_IN_S)
        for number in range(probes):
            sent_at_ms[_pump_id(number)] = time.time() * 1000
            await client.publish(_topic(number), _reading(1, reservoir_ml=1.0), qos=1)
            await asyncio.sleep(PROBE_EVERY_S)
    await page.wait_for_function(
        f"() => Object.keys(window.seen).filter(each => each.startsWith('probe')).length === {probes}"
    )
    seen = await page.evaluate("() => window.seen")
    return float(np.percentile([seen[pump_id] - at_ms for pump_id, at_ms in sent_at_ms.items()], 99))


def _pump_id(number: int) -> str:
    return f"probe{number}"


def _topic(number: int) -> str:
    return f"pumps/v1/{_pump_id(number)}/telemetry"


def _reading(seq: int, *, reservoir_ml: float) -> bytes:
    time_ms = int(time.time() * 1000) - (60_000 if seq == 0 else 0)
    told = {"boot": 1, "seq": seq, "held_from": [1, 0], "simulated": True, "time_ms": [time_ms], "mode": ["running"]}
    values = {"program_ml_d": [0.5], "flow_ml_d": [0.5], "reservoir_ml": [reservoir_ml], "battery_v": [2.9]}
    return json.dumps(told | values).encode()
