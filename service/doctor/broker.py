"""Does the broker take us, and does it hold as much as we need it to?"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final

import httpx

from service.doctor.clocks import offset
from service.doctor.finding import Finding, ok, problem, warning
from service.mqtt.connecting import brokers_of, connect, why
from service.mqtt.credentials import SOON, CredentialsError, credentials_of
from service.mqtt.monitor import ask_nats
from service.mqtt.speaker import Speaker
from service.settings import Settings, SettingsError

AREA: Final = "broker"
ANSWERS_WITHIN_S: Final = 10.0
LOOK_EVERY_S: Final = 0.05
LEAST_UNSETTLED: Final = 20_000
LEAST_WAIT_S: Final = 60.0
LEAST_PAYLOAD_BYTES: Final = 262_144
SAFE_NATS: Final = (2, 14, 4)
_MOSQUITTO: Final = (
    "it shows none of its limits; they must be max_inflight_messages 0, max_queued_messages 0, max_packet_size 278528"
)


async def look(settings: Settings) -> list[Finding]:
    if not settings.broker_url:
        return []
    try:
        credentials = credentials_of(settings, "watch")
    except SettingsError as error:
        return [problem(AREA, str(error), "see *broker TLS* here")]
    found = []
    for broker in brokers_of(settings.broker_url, credentials):
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                (await connect(broker)).close()
        except (OSError, TimeoutError, CredentialsError) as error:
            found.append(
                problem(AREA, f"{broker}: {why(error)}", "is it up, and is that its address, its certificate?")
            )
    if found:
        return found
    return [*await _speak(settings), *await _limits(settings)]


async def _speak(settings: Settings) -> list[Finding]:
    name = f"pumpwatch-doctor-{token_hex(4)}"
    credentials = credentials_of(settings, "watch")
    async with Speaker(settings.broker_url, name, hears_of_broker=True, credentials=credentials) as speaker:
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                while not speaker.connected:  # noqa: ASYNC110 - its own thread connects
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            do = "account and password in PUMPWATCH_BROKER_URL, or its certificate; the broker's log says which"
            return [problem(AREA, "it takes the connection, and does not let us in", do)]
        dropped = speaker.dropped
    found = [ok(AREA, "lets us in")]
    if dropped:
        do = "max_queued_messages must be 0; `pumpwatch ledger --all` shows whether pumps have sent it again"
        found.append(warning(AREA, f"it has dropped {dropped} messages since it was started", do))
    return found


async def _limits(settings: Settings) -> list[Finding]:
    if not settings.broker_monitor_url:
        do = "where it is NATS, set PUMPWATCH_BROKER_MONITOR_URL; of Mosquitto see docs/operations.md"
        return [warning(AREA, _MOSQUITTO, do)]
    found: list[Finding] = []
    for url in settings.broker_monitor_url.split(","):
        try:
            async with httpx.AsyncClient(base_url=url.rstrip("/"), timeout=ANSWERS_WITHIN_S) as client:
                asked_at = datetime.now(UTC)
                said = (await client.get("/varz")).json()
                answered_at = datetime.now(UTC)
        except (httpx.HTTPError, ValueError) as error:
            do = "is PUMPWATCH_BROKER_MONITOR_URL the address of NATS' monitoring (http_port)?"
            found.append(problem(AREA, f"{url} does not answer as NATS does: {type(error).__name__}", do))
            continue
        found += [*of_varz(said), *of_routes(said, answered_at)]
        found += offset(f"the broker at {url}", _time(said["now"]), asked_at, answered_at)
    with suppress(OSError, ValueError):  # said above, of each
        reports = await ask_nats(settings.broker_monitor_url)
        found += [problem(AREA, report.reason, f"docs/runbook.md, {report.condition}") for report in reports]
    return found


def of_varz(said: Mapping[str, Any]) -> Iterator[Finding]:
    """What NATS says of its limits."""
    version = tuple(int(part) for part in said["version"].partition("-")[0].split("."))
    if version < SAFE_NATS:
        do = "use 2.14.4 or newer: earlier ones can lose a message that was settled twice"
        yield warning(AREA, f"it is NATS {said['version']}", do)
    else:
        yield ok(AREA, f"it is NATS {said['version']}")
    mqtt = said.get("mqtt") or {}
    unsettled, wait_s = mqtt.get("max_ack_pending", 0), mqtt.get("ack_wait", 0) / 1e9
    limits = (
        ("mqtt.max_ack_pending", unsettled, LEAST_UNSETTLED, "", "20000"),
        ("mqtt.ack_wait", wait_s, LEAST_WAIT_S, " s", '"120s"'),
        ("max_payload", said.get("max_payload", 0), LEAST_PAYLOAD_BYTES, " bytes", "278528"),
    )
    for name, value, least, unit, good in limits:
        if value < least:
            do = f"set {name}: {good}; a session that exists keeps what it had until it is made anew"
            yield problem(AREA, f"{name} is {value:g}{unit}: too little", do)
        else:
            yield ok(AREA, f"{name} is {value:g}{unit}")


def of_routes(said: Mapping[str, Any], now: datetime) -> Iterator[Finding]:
    """What a node of a cluster says of its way to the others."""
    area, routes = "broker TLS", said.get("cluster") or {}
    if not routes.get("urls"):
        return
    node = said.get("server_name") or "a node"
    if not (routes.get("tls_required") and routes.get("tls_verify")):
        do = "give its `cluster` block the `tls` that `pumpwatch cluster plan` writes: all nodes at once"
        yield problem(area, f"{node} speaks to the other nodes in plain text, or asks for no certificate", do)
    if ends_at := routes.get("tls_cert_not_after"):
        left = _time(ends_at) - now
        what = f"the certificate by which the other nodes know {node}"
        do = "`pumpwatch ca issue-node HOST --renew`, copy it there, and reload the node"
        if left.total_seconds() <= 0:
            yield problem(area, f"{what} ended at {_time(ends_at):%Y-%m-%d %H:%M} UTC", do)
        elif left < SOON:
            yield warning(area, f"{what} ends in {left.days} days", do)
        else:
            yield ok(area, f"{what}: until {_time(ends_at):%Y-%m-%d}")


def _time(text: str) -> datetime:
    """Of nine digits after the second Python reads six."""
    whole, _, _ = text.rstrip("Z").partition(".")
    digits = text.rstrip("Z").partition(".")[2][:6].ljust(6, "0")
    return datetime.fromisoformat(f"{whole}.{digits}+00:00")
