"""Connections go to addresses that were looked up once and judged, and nowhere else."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.address import Allowed
from service.core.delivery import Attempt, Outcome
from service.webhooks.destination import Checked, look_up
from service.webhooks.sender import HttpSender
from tests.keys import LOOPBACK_ALLOWED
from tests.patience import until_true
from tests.webhooks.endpoint import Endpoint
from tests.webhooks.rows import a_claimed

ON_LOOPBACK = Allowed.parse(LOOPBACK_ALLOWED)


def leads_to(*answers: list[str]) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    """A name server that answers so, one lookup after the other; and what it was asked."""
    asked: list[str] = []

    async def lookup(host: str, _: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return lookup, asked


async def post(sender: HttpSender, url: str, endpoint: Endpoint) -> Attempt:
    return await sender.post(a_claimed(url, endpoint.secret), datetime.now(UTC), 10)


async def test_a_name_leads_to_its_addresses_each_once() -> None:
    assert "127.0.0.1" in await look_up("localhost", 80)
    assert await look_up("127.0.0.1", 80) == ["127.0.0.1"]
    assert await look_up("::1", 80) == ["::1"]


async def test_a_name_is_looked_up_once_and_what_was_found_is_connected_to() -> None:
    lookup, asked = leads_to(["127.0.0.1"])
    async with Endpoint() as endpoint, HttpSender(network=Checked(ON_LOOPBACK, lookup)) as sender:
        for _ in range(2):
            attempt = await post(sender, f"http://clinic.invalid:{endpoint.port}/", endpoint)
            assert attempt.outcome is Outcome.DELIVERED
    assert asked == ["clinic.invalid"]
    assert [request.host for request in endpoint.requests] == [f"clinic.invalid:{endpoint.port}"] * 2


async def test_whoever_waits_for_a_name_waits_for_one_answer_and_giving_up_is_ones_own_affair() -> None:
    answer = asyncio.Event()
    asked: list[str] = []

    async def hangs(host: str, _: int) -> list[str]:
        asked.append(host)
        await answer.wait()
        return ["127.0.0.1"]

    network = Checked(ON_LOOPBACK, hangs)
    waiting = [asyncio.create_task(network.addresses("clinic.invalid", 443)) for _ in range(20)]
    await until_true(lambda: asked, "the look-up")
    for given_up in waiting[:19]:
        given_up.cancel()
    answer.set()
    assert await waiting[19] == ["127.0.0.1"]
    assert asked == ["clinic.invalid"]
    assert await network.addresses("clinic.invalid", 443) == ["127.0.0.1"]
    assert len(asked) == 2, "and nothing is remembered"


async def test_a_name_that_leads_elsewhere_once_it_was_judged_gains_nothing() -> None:
    # Rebinding: the first answer is allowed, and every later one would lead to this machine.
    lookup, asked = leads_to(["127.0.0.2"], ["127.0.0.1"])
    network = Checked(Allowed.parse("127.0.0.2"), lookup)
    async with Endpoint() as endpoint, HttpSender(network=network) as sender:
        url = f"http://clinic.invalid:{endpoint.port}/"
        assert (await post(sender, url, endpoint)).outcome is Outcome.CONNECTION_REFUSED
        assert asked == ["clinic.invalid"], "what was judged is what was connected to"
        blocked = await post(sender, url, endpoint)
    assert (blocked.outcome, blocked.detail) == (Outcome.BLOCKED, "it leads to a loopback address")
    assert not endpoint.requests


@pytest.mark.parametrize("among", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:127.0.0.1"]])
async def test_a_name_with_one_address_inside_is_refused_whole(among: list[str]) -> None:
    lookup, _ = leads_to(among)
    async with Endpoint() as endpoint, HttpSender(network=Checked(lookup=lookup)) as sender:
        attempt = await post(sender, f"https://clinic.invalid:{endpoint.port}/", endpoint)
    assert (attempt.outcome, attempt.status) == (Outcome.BLOCKED, None)
    assert endpoint.connections == 0


async def test_without_leave_nothing_is_sent_to_this_machine() -> None:
    async with Endpoint() as endpoint, HttpSender() as sender:
        assert (await post(sender, endpoint.url, endpoint)).outcome is Outcome.BLOCKED
        assert (await post(sender, f"http://localhost:{endpoint.port}/", endpoint)).outcome is Outcome.BLOCKED
    assert endpoint.connections == 0


async def test_an_address_where_nobody_answers_gives_way_to_the_next() -> None:
    lookup, _ = leads_to(["127.0.0.2", "127.0.0.1"])
    async with Endpoint() as endpoint, HttpSender(network=Checked(ON_LOOPBACK, lookup)) as sender:
        attempt = await post(sender, f"http://clinic.invalid:{endpoint.port}/", endpoint)
    assert attempt.outcome is Outcome.DELIVERED


async def test_tls_is_held_to_the_name_and_not_to_the_address(certificate: Path) -> None:
    lookup, _ = leads_to(["127.0.0.1"])
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with Endpoint(serving) as endpoint, HttpSender(trusting, Checked(ON_LOOPBACK, lookup)) as sender:
        named = [
            await post(sender, f"https://{name}:{endpoint.port}/", endpoint)
            for name in ("clinic.invalid", "other.invalid")
        ]
    assert [attempt.outcome for attempt in named] == [Outcome.DELIVERED, Outcome.TLS_ERROR]
