"""Whoever sees one site alone is shown what is of it, and nothing of another: by every way that there is."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.core.change import Change, Condition, Priority, Turn
from service.core.reading import position_of
from service.core.subject import NO_PUMP, site_subject
from service.postgres.accounts import Role, create_token
from tests.api.test_stream import following, some
from tests.api.ward import NOW, TLS, Ward, enter, hear, raise_alert, turn

SECRET = "elsewhere"
"""In every name and every text that is of the other site."""
MOST_PAGES = 20


@dataclass
class Clinic:
    """Two sites, each with one of everything."""

    ward: Ward
    of: Mapping[str, Mapping[str, str]]
    """By site: the ids of what is there, by the names of the parameters of paths."""
    northerners: Mapping[Role, httpx.AsyncClient]


@pytest.fixture
async def clinic(ward: Ward) -> AsyncIterator[Clinic]:
    await ward.rows("INSERT INTO endpoint (name, url, secret) VALUES ('pager', 'https://a', '')")
    of = {site: await furnish(ward, site) for site in ("north", SECRET)}
    northerners = {}
    for role in Role:
        token = await create_token(ward.database, f"northern-{role}", role, "test", sites=["north"])
        northerners[role] = httpx.AsyncClient(
            base_url=f"{ward.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, verify=TLS, timeout=120
        )
    yield Clinic(ward, of, northerners)
    for client in northerners.values():
        await client.aclose()


async def furnish(ward: Ward, site: str) -> dict[str, str]:
    pump_id = f"{site}-pump"
    key = (await enter(ward, pump_id, site=site))[pump_id]
    await hear(ward, key)
    at = NOW, position_of(7, 500), key
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz - n * interval '1 minute', $2::bigint - n, $1, $3, 0.5, 0.5, 18,"
        " 2.9, 0 FROM generate_series(1, 5) AS n",
        *at,
    )
    await ward.rows(
        "INSERT INTO event (position, measured_at, received_at, pump, type, body) "
        "VALUES ($2, $1, $1, $3, 'refill', '{}')",
        *at,
    )
    await ward.rows("INSERT INTO gap (pump, from_position, to_position, noticed_at) VALUES ($3, $2, $2, $1)", *at)
    alert = await raise_alert(ward, turn(key, Condition.STALL))
    await ward.rows("INSERT INTO verdict VALUES ($1, 'stall', 'holds', $2)", key, NOW)
    await raise_alert(ward, site_silence(site))
    (told,) = await ward.rows("SELECT id FROM notification WHERE alert_id = $1", alert)
    await ward.rows(
        "INSERT INTO shadow_alert (pump, condition, detected_position, priority, began_at, detected_at, recorded_at, "
        "rulebook_version, evidence) VALUES ($3, 'stall', $2, 'high', $1, $1, $1, 'v', '{}')",
        *at,
    )
    (aside,) = await ward.rows(
        "INSERT INTO quarantine (received_at, topic, reason, detail, length, sha256, head) "
        "VALUES ($1, $2, 'not_json', $3, 1, '', $4) RETURNING id",
        *(NOW, f"shard/3/pumps/v1/{pump_id}/telemetry", site, site.encode()),
    )
    drill = await ward.administrator.post("/drills", json={"site": site, "priority": Priority.LOW, "note": site})
    override = {"scope": "pump", "name": pump_id, "key": "stall.missed_ul", "value": 8.0, "reason": site}
    set_ = await ward.administrator.post("/rules/overrides", json={**override, "expires_at": "2027-01-01T00:00:00Z"})
    care = await ward.clinician.post(
        f"/pumps/{pump_id}/refills", json={"at": NOW.isoformat(), "reservoir_after_ml": 20, "note": site}
    )
    assert [answer.status_code for answer in (drill, set_, care)] == [201] * 3, (drill.text, set_.text, care.text)
    return {
        "pump_id": pump_id,
        "alert_id": alert,
        "site": site,
        "delivery_id": told["id"],
        "drill_id": drill.json()["id"],
        "quarantine": str(aside["id"]),
        "overrides": str(set_.json()["id"]),
        "care": str(care.json()["id"]),
    }


def site_silence(site: str) -> Change:
    ms = int(NOW.timestamp() * 1000)
    return Change(NO_PUMP, Condition.SITE_SILENCE, Turn.BEGAN, 1, ms, ms, ms - 60_000, ms, subject=site_subject(site))


def filled(path: str, ids: Mapping[str, str]) -> str:
    """A path of the document, with the ids of what is at a site."""

    path = path.removeprefix("/api/v1")

    def named(found: re.Match[str]) -> str:
        before = path[: found.start()].rstrip("/").rpartition("/")[2]
        return ids.get(found[1]) or ids.get(before) or "1"

    return re.sub(r"\{(\w+)\}", named, path)


async def pages(client: httpx.AsyncClient, path: str, **params: Any) -> AsyncIterator[httpx.Response]:
    for _ in range(MOST_PAGES):
        answer = await client.get(path, params=params)
        yield answer
        if answer.status_code != 200 or not answer.headers["content-type"].startswith("application/json"):
            return
        body = answer.json()
        if not isinstance(body, dict) or not body.get("next_cursor"):
            return
        params["cursor"] = body["next_cursor"]
    raise AssertionError(f"{path} has no end")


async def test_nothing_of_another_site_is_in_any_answer_of_any_route(clinic: Clinic) -> None:
    paths = (await clinic.ward.administrator.get("/openapi.json")).json()["paths"]
    reads = [path for path, operations in paths.items() if "get" in operations and path.startswith("/api/v1")]
    secrets = {SECRET, clinic.of[SECRET]["alert_id"], clinic.of[SECRET]["drill_id"]}
    shown = set()
    for path in reads:
        if path.endswith("/stream"):
            continue
        for site, ids in clinic.of.items():
            for client in clinic.northerners.values():
                limited = {"limit": 1} if "limit" in json.dumps(paths[path]["get"].get("parameters", [])) else {}
                async for answer in pages(client, filled(path, ids), **limited):
                    assert answer.status_code in {200, 403, 404, 422}, (path, answer.text)
                    if answer.status_code == 200:
                        assert not [secret for secret in secrets if secret in answer.text], (path, answer.text)
                        assert not [secret for secret in secrets if secret in str(answer.headers)], path
                        shown |= {path} if site == "north" else set()
    # And what is their own they are shown, as whoever sees all is.
    own = {
        "pumps",
        "alerts",
        "fleet/latest",
        "fleet/statistics",
        "sites",
        "deliveries",
        "drills",
        "quarantine",
        "burden",
    }
    own |= {"audit", "rules/overrides", "rules/shadow", "pumps/{pump_id}/care", "pumps/{pump_id}/export"}
    assert {f"/api/v1/{path}" for path in own} <= shown


async def test_lists_hold_what_is_of_their_site_and_counts_count_it(clinic: Clinic) -> None:
    north, ids = clinic.northerners[Role.ADMINISTRATOR], clinic.of["north"]

    async def listed(path: str, field: str) -> set[str]:
        return {str(item[field]) for item in (await north.get(path)).json()["items"]}

    assert await listed("/pumps", "pump_id") == {ids["pump_id"]}
    assert await listed("/pumps?q=elsew", "pump_id") == set()
    assert await listed(f"/pumps?site={SECRET}", "pump_id") == set()
    assert ids["alert_id"] in await listed("/alerts", "id")
    assert await listed("/alerts", "site") == {"north"}
    assert await listed(f"/alerts?subject=site:{SECRET}", "id") == set()
    assert await listed("/sites", "site") == {"north"}
    assert ids["alert_id"] in await listed("/deliveries", "alert_id") <= await listed("/alerts", "id")
    assert await listed("/drills", "id") == {ids["drill_id"]}
    assert await listed("/quarantine", "id") == {ids["quarantine"]}
    assert await listed("/rules/overrides", "id") == {ids["overrides"]}
    assert await listed("/rules/shadow", "pump_id") == {ids["pump_id"]}
    assert await listed("/audit", "actor") <= {"northern-administrator"}
    latest = (await north.get("/fleet/latest", params={"site": SECRET})).json()["columns"]["pump_id"]
    assert latest == []
    counted = (await north.get("/fleet/statistics")).json()
    everything = (await clinic.ward.viewer.get("/fleet/statistics")).json()
    assert (counted["pumps"], everything["pumps"]) == (1, 2)
    assert sum(row["alerts"] for row in counted["open_alerts"]) * 2 == sum(
        row["alerts"] for row in everything["open_alerts"]
    )
    asked = {"until": "2026-11-23T00:00:00Z"}
    burdens = [(await one.get("/burden", params=asked)).json() for one in (north, clinic.ward.viewer)]
    assert burdens[0]["alerts"] * 2 == burdens[1]["alerts"] > 0
    assert (burdens[0]["pumps"], burdens[1]["pumps"]) == (1, 2)


async def test_what_is_of_another_site_is_not_there_to_be_changed_and_what_is_of_all_is_refused(clinic: Clinic) -> None:
    paths = (await clinic.ward.administrator.get("/openapi.json")).json()["paths"]
    before = await everything(clinic.ward)
    north = clinic.northerners[Role.ADMINISTRATOR]
    for path, operations in paths.items():
        for method in set(operations) - {"get"}:
            if path == "/api/v1/session" or not path.startswith("/api/v1/") or "session" in path:
                continue
            if path in {"/api/v1/drills", "/api/v1/rules/overrides"}:
                continue  # below
            answer = await north.request(method, filled(path, clinic.of[SECRET]), json={})
            assert answer.status_code in {403, 404}, (method, path, answer.text)
    assert await everything(clinic.ward) == before


async def everything(ward: Ward) -> list[object]:
    found = []
    for table in ("pump", "alert", "alert_history", "care", "rule_override", "notification", "quarantine", "site"):
        found += await ward.rows(f"SELECT t::text AS row FROM {table} AS t ORDER BY 1")
    return [row["row"] for row in found]


async def test_nothing_is_moved_to_another_site_nor_begun_there(clinic: Clinic) -> None:
    north, pump_id = clinic.northerners[Role.ADMINISTRATOR], clinic.of["north"]["pump_id"]
    entry = (await north.get(f"/pumps/{pump_id}")).json()
    fields = (await clinic.ward.administrator.get("/openapi.json")).json()["components"]["schemas"]["RegistryEntry"]
    given = {name: entry[name] for name in fields["properties"] if name in entry} | {"site": SECRET}
    refused = [
        await north.put(f"/pumps/{pump_id}", json=given),
        await north.post("/drills", json={"site": SECRET}),
        await north.post("/drills", json={}),
        await north.post(
            f"/pumps/{pump_id}/exchange", json={"pump_id": "new", "at": NOW.isoformat(), "changes": {"site": SECRET}}
        ),
    ]
    for scope, name in (("pump", clinic.of[SECRET]["pump_id"]), ("site", SECRET), ("drug_class", "baclofen")):
        override = {"scope": scope, "name": name, "key": "stall.missed_ul", "value": 8.0, "reason": "x"}
        refused.append(await north.post("/rules/overrides", json={**override, "expires_at": "2027-01-01T00:00:00Z"}))
    assert [answer.status_code for answer in refused] == [422] * len(refused), [answer.text for answer in refused]
    again = await north.put(f"/pumps/{pump_id}", json=given | {"site": "north"})
    assert again.status_code == 200, again.text


async def test_the_stream_shows_what_is_of_their_site_also_of_a_pump_that_has_moved_there(clinic: Clinic) -> None:
    ward, north = clinic.ward, clinic.northerners[Role.VIEWER]
    keys = await enter(ward, "moves", site=SECRET)
    async with following(north, "kinds=alert,verdict,reading&pump=moves&pump=elsewhere-pump&pump=north-pump") as events:
        assert [event.kind for event in await some(events, 1)] == ["hello"]
        await raise_alert(ward, turn(keys["elsewhere-pump"], Condition.BATTERY_LOW))
        await enter(ward, "moves", site="north")
        await raise_alert(ward, turn(keys["moves"], Condition.BATTERY_LOW))
        (told,) = await some(events, 1)
        assert (told.kind, told.data["subject"]) == ("alert", "pump:moves")
        last = told.id
    # Also to one who comes back and asks what was missed.
    await raise_alert(ward, turn(keys["elsewhere-pump"], Condition.BATTERY_END))
    await raise_alert(ward, turn(keys["north-pump"], Condition.BATTERY_END))
    async with following(north, "kinds=alert", last=str(last)) as events:
        missed = await some(events, 2)
        assert [event.data.get("subject") for event in missed] == [None, "pump:north-pump"]
