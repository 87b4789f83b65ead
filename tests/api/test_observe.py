"""What is counted of requests, and what a fault of ours looks like from outside."""

import logging

import pytest

from tests.api.ward import Ward, problem


async def test_every_request_is_counted_under_its_route_and_not_its_path(ward: Ward) -> None:
    await ward.viewer.get("/pumps/p1")
    await ward.viewer.get("/pumps/p2")
    await ward.client.get("/api/v1/pumps/p3")
    await ward.client.get("/guess")
    text = (await ward.client.get("/metrics")).text
    assert 'pumpwatch_api_requests_total{method="GET",route="/api/v1/pumps/{pump_id}",status="404"} 2.0' in text, text
    assert 'pumpwatch_api_requests_total{method="GET",route="none",status="401"} 2.0' in text
    assert "p3" not in text


async def test_a_fault_of_ours_is_logged_and_answered_and_the_next_request_is_served(
    ward: Ward, caplog: pytest.LogCaptureFixture
) -> None:
    ward.clock.now = None  # no clock ever says this
    with caplog.at_level(logging.ERROR, "pumpwatch"):
        found = problem(await ward.viewer.get("/pumps/p1/readings"), 500)
    assert "NoneType" not in str(found)
    [record] = [record for record in caplog.records if record.getMessage() == "request_failed"]
    assert record.exc_info is not None
    assert record.fields == {"method": "GET", "route": "/api/v1/pumps/{pump_id}/readings"}
    assert (await ward.viewer.get("/quarantine")).status_code == 200
    text = (await ward.client.get("/metrics")).text
    assert 'route="/api/v1/pumps/{pump_id}/readings",status="500"} 1.0' in text
