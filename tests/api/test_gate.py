"""Who may come in, and who may do what."""

import httpx

from service.postgres.accounts import revoke_token
from tests.api.ward import Ward, problem

ROUTES = [
    ("GET", "/api/v1/pumps"),
    ("GET", "/api/v1/pumps/p1"),
    ("PUT", "/api/v1/pumps/p1"),
    ("GET", "/api/v1/pumps/p1/readings"),
    ("GET", "/api/v1/alerts"),
    ("POST", "/api/v1/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11/acknowledge"),
    ("GET", "/api/v1/endpoints"),
    ("GET", "/api/v1/quarantine"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/nothing-here"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/live/"),
    ("GET", "//live"),
    ("OPTIONS", "/api/v1/pumps"),
]


async def test_nothing_but_health_is_open(ward: Ward) -> None:
    for method, path in ROUTES:
        for headers in ({}, {"Authorization": "Bearer pumpwatch_guessed"}, {"Authorization": "Basic cHVtcA=="}):
            answer = await ward.client.request(method, path, headers=headers)
            assert (method, path, answer.status_code) == (method, path, 401)
            if path.startswith("/api/"):
                problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_health_is_open_and_so_are_metrics_on_this_machine_only(ward: Ward) -> None:
    assert (await ward.client.get("/live")).json() == {"live": True}
    assert (await ward.client.get("/ready")).status_code == 503
    assert (await ward.client.get("/metrics")).status_code == 200

    passed_on = {"X-Forwarded-For": "203.0.113.9"}
    problem(await ward.client.get("/metrics", headers=passed_on), 401)
    viewer = passed_on | {"Authorization": ward.viewer.headers["Authorization"]}
    assert (await ward.client.get("/metrics", headers=viewer)).status_code == 200

    elsewhere = httpx.ASGITransport(ward.app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://api") as client:
        problem(await client.get("/metrics"), 401)
        assert (await client.get("/live")).status_code == 200


async def test_a_viewer_writes_nothing_and_a_clinician_changes_no_registry(ward: Ward) -> None:
    acknowledge = "/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11/acknowledge"
    assert "clinician" in problem(await ward.viewer.post(acknowledge), 403)["detail"]
    problem(await ward.viewer.post(acknowledge.replace("acknowledge", "reset")), 403)
    problem(await ward.clinician.post(acknowledge), 404)
    for one in (ward.viewer, ward.clinician):
        assert "administrator" in problem(await one.put("/pumps/p1", json={}), 403)["detail"]
        problem(await one.post("/endpoints", json={"name": "x", "url": "https://x.example"}), 403)
        problem(await one.get("/endpoints"), 403)
    problem(await ward.administrator.put("/pumps/p1", json={}), 422)
    assert await ward.rows("SELECT FROM audit WHERE actor <> 'test'") == []


async def test_a_revoked_token_opens_nothing_from_the_next_request_on(ward: Ward) -> None:
    assert (await ward.viewer.get("/pumps")).status_code == 200
    await revoke_token(ward.database, "the-viewer", "test")
    problem(await ward.viewer.get("/pumps"), 401)
    assert (await ward.clinician.get("/pumps")).status_code == 200


async def test_no_token_is_stored_as_it_is(ward: Ward) -> None:
    stored = str(await ward.rows("SELECT token::text FROM token UNION ALL SELECT audit::text FROM audit"))
    assert not any(token in stored or token.encode().hex() in stored for token in ward.tokens.values())
