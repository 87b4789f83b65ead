"""The main job, by real servers and real processes: a pump stalls, a clinician is told, answers, and hears the end."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from service.embedded.child import free_port
from service.embedded.nats import NatsServer
from service.settings import inherited_environment
from tests.benchmarks.processes import ROOT, ended, started
from tests.patience import until_found
from tests.test_supervise import up

HOUR_MS = 3_600_000
PUMPS = ["--pumps", "20", "--seed", "7", "--interval", "60"]
PATIENCE_S = 60.0


async def test_a_stall_reaches_the_clinic_is_acknowledged_latches_and_is_reset(
    postgres_url: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with up(postgres_url, nats_server.mqtt_url, tmp_path) as service:
        token = (await service.line("administrator")).rpartition(" ")[2]
        await service.line("ready")
        await register_fleet(postgres_url, tmp_path / "fleet.csv")
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=f"{service.api_url}/api/v1", headers=headers, timeout=60) as api,
            clinic(api, tmp_path) as at_clinic,
        ):
            # Six hours ago a pump's day began; an hour later its motor stands still, and three hours after that also.
            stalls_from_ms = time.time_ns() // 1_000_000 - 6 * HOUR_MS
            await fleet(nats_server.mqtt_url, "stall", stalls_from_ms, hours=4)
            alert = await only_alert(api, state="active")
            assert (alert["condition"], alert["priority"], alert["simulated"]) == ("stall", "high", True)
            told = await at_clinic.told(alert["id"], 1)
            # This one notices it before the volume that is missed would tell.
            assert told[0]["data"]["what"].startswith("The pump itself says that its motor stands still, since ")
            assert told[0]["data"]["pump_id"] == alert["pump_id"]

            answer = await api.post(f"/alerts/{alert['id']}/acknowledge", json={"note": "on my way"})
            assert answer.status_code == 200, answer.text
            assert (await only_alert(api, state="active"))["acknowledged_by"] == "first-administrator"
            await at_clinic.told(alert["id"], 2)

            # The pump is started again, and delivers what it should.
            await fleet(nats_server.mqtt_url, "none", stalls_from_ms + 4 * HOUR_MS, hours=1)
            assert (await only_alert(api, state="latched"))["id"] == alert["id"]
            answer = await api.post(f"/alerts/{alert['id']}/reset", json={"note": "catheter checked"})
            assert answer.status_code == 200, answer.text
            told = await at_clinic.told(alert["id"], 3)

            assert [each["type"] for each in told] == ["alert.activated", "alert.acknowledged", "alert.resolved"]
            assert [each["data"]["state"] for each in told] == ["active", "active", "resolved"]
            whole = await until_delivered(api, alert["id"], 3)
            assert [each["event"] for each in whole["history"]] == [
                "condition_began",
                "acknowledged",
                "condition_ended",
                "reset",
            ]
            assert (await only_alert(api))["state"] == "resolved", "and no other alert was raised"
        assert "Traceback" not in service.log


class Clinic:
    """`pumpsim clinic`: it believes only what is signed with its secret."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def told(self, alert_id: str, count: int) -> list[dict[str, Any]]:
        """What it was told of an alert, once that is `count` things, each in one request that it could verify."""

        async def looked() -> list[dict[str, Any]]:
            requests = (await self._client.get("/received")).json()["requests"]
            return [each for each in requests if each["body"]["data"]["alert_id"] == alert_id]

        requests = await until_found(looked, f"{count} webhooks", enough=lambda found: len(found) >= count)
        assert all(each["verified"] and each["first"] for each in requests), requests
        assert len(requests) == count
        return [each["body"] for each in requests]


@asynccontextmanager
async def clinic(api: httpx.AsyncClient, directory: Path) -> AsyncIterator[Clinic]:
    """A clinic whose endpoint is entered as an administrator does it: the address first, then the secret is shown."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    made = await api.post("/endpoints", json={"name": "clinic", "url": f"{url}/hook", "accepts_simulated": True})
    assert made.status_code == 201, made.text
    command = [sys.executable, "-m", "simulators", "clinic", "--port", port, "--secret", made.json()["secret"]]
    child = await started(command, log=directory / "clinic.log", wants_output=True)
    async with ended(child), httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert child.stdout is not None
        assert (await child.stdout.readline()).decode() == f"clinic listens on {url}/hook\n"
        yield Clinic(client)


async def register_fleet(database_url: str, registry: Path) -> None:
    await run("simulators", "registry", *PUMPS, "--out", str(registry))
    told = await run("service", "pumps", "import", str(registry), "--database-url", database_url)
    assert told == "20 new, 0 changed, 0 as they were\n"


async def fleet(broker_url: str, faults: str, start_ms: int, *, hours: int) -> None:
    """Some hours of a fleet, at once; every reading has its receipt when this returns."""
    span = ["--start-ms", str(start_ms), "--backlog-hours", str(hours), "--live-s", "0", "--drain-s", str(PATIENCE_S)]
    await run("simulators", "fleet", "--broker", broker_url, *PUMPS, "--faults", faults, *span)


async def only_alert(api: httpx.AsyncClient, **wanted: str) -> dict[str, Any]:
    """The one alert that is there, once there is one."""

    async def looked() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await api.get("/alerts", params=wanted)).json()["items"]
        return items

    (alert,) = await until_found(looked, f"an alert {wanted}")
    return alert


async def until_delivered(api: httpx.AsyncClient, alert_id: str, count: int) -> dict[str, Any]:
    """The alert and its past, once each of its `count` notifications is: an endpoint has it before that is recorded."""

    async def looked() -> dict[str, Any]:
        whole: dict[str, Any] = (await api.get(f"/alerts/{alert_id}")).json()
        return whole

    def all_delivered(whole: dict[str, Any]) -> bool:
        return [each["state"] for each in whole["notifications"]] == ["delivered"] * count

    return await until_found(looked, f"{count} deliveries to be recorded", enough=all_delivered)


async def run(*words: str) -> str:
    """Run a program of ours to its end, which must be a good one; return what it printed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, cwd=ROOT, env=inherited_environment(), stdout=PIPE, stderr=PIPE
    )
    told, complained = await child.communicate()
    assert child.returncode == 0, complained.decode()
    return told.decode()
