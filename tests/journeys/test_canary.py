"""A fault of the service's own pump arrives where it should, and nowhere else; or it is said that it does not."""

import json
from pathlib import Path

import asyncpg
import httpx

from service.core.reading import boot_of, seq_of
from service.embedded.nats import NatsServer
from tests.patience import until_found, until_true
from tests.test_supervise import Up, answers, up

TOLD = """
    SELECT DISTINCT e.name
    FROM notification AS n JOIN endpoint AS e ON e.id = n.endpoint JOIN alert AS a ON a.id = n.alert_id
    WHERE a.subject = 'pump:pumpwatch-canary'
"""
ROUNDS = "SELECT count(*) FROM canary_round WHERE over_at IS NOT NULL AND arrived_at < begun_at + interval '15 seconds'"


# An alert of the canary that was delivered: how it began, and by which request it arrived.
DELIVERED = """
    SELECT a.id AS alert, a.detected_position AS position, n.id AS notification
    FROM alert AS a JOIN notification AS n ON n.alert_id = a.id JOIN attempt AS t ON t.notification_id = n.id
    WHERE a.subject = 'pump:pumpwatch-canary' AND n.kind = 'activated' AND t.outcome = 'delivered' LIMIT 1
"""


async def one_id_leads_through_the_log(connection: asyncpg.Connection, service: Up) -> None:
    """From the message by pump, boot and seq to its alert; by the alert's id to the notification and its requests."""
    row = await connection.fetchrow(DELIVERED)
    position, alert = row["position"], {"alert": str(row["alert"])}
    message = {"pump": "pumpwatch-canary", "boot": boot_of(position), "seq": seq_of(position)}
    turned = {"event": "condition_turned", "condition": "battery_reset", "turn": "began"} | message
    sent = {"event": "notification_delivered", "notification": str(row["notification"])} | alert
    for role, way in (
        ("ingest", turned),
        ("ingest", {"event": "alert_condition_began"} | alert | message),
        ("deliver", sent),
    ):
        said = {"logger": f"pumpwatch.{role}"} | way
        await until_true(lambda said=said: any(said.items() <= line.items() for line in lines(service)), str(said))  # type: ignore[misc]
    delivered = next(line for line in lines(service) if sent.items() <= line.items())
    assert delivered["attempt"] >= 1


def lines(service: Up) -> list[dict[str, object]]:
    """All that was logged, the last line only once it is whole."""
    return [json.loads(line) for line in service.log.splitlines(keepends=True) if line.endswith("\n")]


async def test_a_fault_of_our_own_arrives_again_and_again_and_nobody_else_hears_of_it(
    connection: asyncpg.Connection, postgres_url: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    await connection.execute(
        "INSERT INTO endpoint (name, url, secret, accepts_simulated) VALUES ('people', 'http://127.0.0.1:9', '', true)"
    )
    canary = {"PUMPWATCH_CANARY_EVERY_S": "2", "PUMPWATCH_CANARY_WITHIN_S": "15", "PUMPWATCH_WEBHOOK_ALLOW": "10.0.0.1"}
    canary["PUMPWATCH_LOG_FORMAT"] = "json"
    async with up(postgres_url, nats_server.mqtt_url, tmp_path, **canary) as service:
        token = (await service.line("administrator")).rpartition(" ")[2]
        await service.line("ready")
        assert await until_found(lambda: connection.fetchval(ROUNDS), "two rounds", enough=lambda count: count >= 2)
        assert await connection.fetchval("SELECT count(DISTINCT alert_id) FROM notification") >= 2
        await one_id_leads_through_the_log(connection, service)
        told = await connection.fetch(TOLD)
        assert [row["name"] for row in told] == ["pumpwatch-canary"]
        async with httpx.AsyncClient(base_url=service.api_url, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            shown = (await client.get("/api/v1/alerts")).json()["items"]
            assert "pump:pumpwatch-canary" not in {alert["subject"] for alert in shown}
            assert (await client.get("/api/v1/alerts", params={"pump": "pumpwatch-canary"})).json()["items"]
            text = (await client.get("/metrics")).text
        assert 'pumpwatch_canary_rounds_total{outcome="arrived"}' in text

        # Somebody breaks the last link: what is claimed is posted to where nobody is.
        await connection.execute("UPDATE endpoint SET url = 'http://127.0.0.1:9/nobody' WHERE canary")
        lost = await answers(lambda answer: "canary" in answer.text, service)
        assert lost.status_code == 503
        [reason] = lost.json()["reasons"]
        assert reason.startswith("not watching: the canary's fault of ")
        assert reason.endswith("was sent to its endpoint, and has not arrived (blocked)")
        alert = "SELECT state FROM alert WHERE condition = 'canary_lost' ORDER BY raised_at DESC LIMIT 1"
        await until_found(lambda: connection.fetchval(alert), "the alert", enough=lambda state: state == "active")
        await connection.execute("UPDATE endpoint SET url = $1 WHERE canary", f"{service.api_url}/hooks/canary")
        await answers(lambda answer: answer.is_success, service)
        await until_found(lambda: connection.fetchval(alert), "its end", enough=lambda state: state == "resolved")
        assert "Traceback" not in service.log
