"""Connections go where the name was found to lead when it was looked up, and nowhere else."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from service.core.delivery import Outcome
from service.webhooks.destination import Checked, addresses
from service.webhooks.sender import HttpSender
from tests.webhooks.endpoint import Endpoint
from tests.webhooks.rows import a_claimed


async def test_a_name_leads_to_its_addresses_each_once() -> None:
    assert "127.0.0.1" in await addresses("localhost", 80)
    assert await addresses("127.0.0.1", 80) == ["127.0.0.1"]


async def test_a_name_is_looked_up_once_and_what_was_found_is_connected_to() -> None:
    asked: list[tuple[str, int]] = []

    async def allowed(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    async with Endpoint() as endpoint, HttpSender(network=Checked(allowed)) as sender:
        url = f"http://clinic.invalid:{endpoint.port}/"
        for _ in range(2):
            attempt = await sender.post(a_claimed(url, endpoint.secret), datetime.now(UTC), 10)
            assert attempt.outcome is Outcome.DELIVERED
    assert asked == [("clinic.invalid", endpoint.port)]
    assert [request.host for request in endpoint.requests] == [f"clinic.invalid:{endpoint.port}"] * 2


async def test_an_address_where_nobody_answers_gives_way_to_the_next() -> None:
    async def allowed(_: str, __: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with Endpoint() as endpoint, HttpSender(network=Checked(allowed)) as sender:
        attempt = await sender.post(a_claimed(endpoint.url, endpoint.secret), datetime.now(UTC), 10)
    assert attempt.outcome is Outcome.DELIVERED


async def test_tls_is_held_to_the_name_and_not_to_the_address(certificate: Path) -> None:
    async def allowed(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with Endpoint(serving) as endpoint, HttpSender(trusting, Checked(allowed)) as sender:
        named = [
            await sender.post(a_claimed(f"https://{name}:{endpoint.port}/", endpoint.secret), datetime.now(UTC), 10)
            for name in ("clinic.invalid", "other.invalid")
        ]
    assert [attempt.outcome for attempt in named] == [Outcome.DELIVERED, Outcome.TLS_FAILED]
