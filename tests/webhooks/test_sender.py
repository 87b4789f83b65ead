"""One POST over a real connection, to endpoints that behave and to endpoints that do not."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.address import Allowed
from service.core.delivery import Attempt, Outcome
from service.webhooks.destination import Checked
from service.webhooks.sender import HttpSender, trusted
from tests.keys import LOOPBACK_ALLOWED
from tests.servers import eventually
from tests.webhooks import endpoint as conduct
from tests.webhooks.endpoint import Conduct, Endpoint, answers
from tests.webhooks.rows import a_claimed

ON_LOOPBACK = Checked(Allowed.parse(LOOPBACK_ALLOWED))


@pytest.fixture
async def sender() -> AsyncIterator[HttpSender]:
    async with HttpSender(network=ON_LOOPBACK) as sender:
        yield sender


async def post(sender: HttpSender, endpoint: Endpoint, timeout_s: float = 10.0) -> Attempt:
    return await sender.post(a_claimed(endpoint.url, endpoint.secret), datetime.now(UTC), timeout_s)


async def test_a_webhook_arrives_whole_and_signed(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        attempt = await post(sender, endpoint)
    assert (attempt.outcome, attempt.status, attempt.detail) == (Outcome.DELIVERED, 204, "")
    [request] = endpoint.requests
    assert request.verified
    assert request.id == "n1"
    assert request.body["data"]["what"] == "60 µg/d"
    assert request.path == "/hook/path-secret"


async def test_while_secrets_are_rotated_an_endpoint_that_knows_one_of_them_verifies(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        await sender.post(a_claimed(endpoint.url, "whsec_" + "A" * 44 + " " + endpoint.secret), datetime.now(UTC), 10)
    assert endpoint.requests[0].verified


async def test_an_attempt_keeps_what_was_sent_but_its_signature_and_the_first_of_the_answer(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(answers(422, b"no \xff such pump " * 1000))
        attempt = await post(sender, endpoint)
    assert set(attempt.headers) == {"webhook-id", "webhook-timestamp", "content-type", "user-agent"}
    assert attempt.answer.startswith("no \ufffd such pump no")
    assert 2000 < len(attempt.answer) <= 2048


async def test_nothing_is_sent_unsigned(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        attempt = await sender.post(a_claimed(endpoint.url, ""), datetime.now(UTC), 10)
    assert attempt.outcome is Outcome.NOT_SENT
    assert not endpoint.requests


async def test_the_connection_is_used_again(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        endpoint.conduct_of = lambda _: answers(200, b"thank you" * 100)
        for _ in range(5):
            assert (await post(sender, endpoint)).outcome is Outcome.DELIVERED
    assert endpoint.connections == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.THROTTLED),
        (500, Outcome.SERVER_ERROR),
        (503, Outcome.SERVER_ERROR),
        (799, Outcome.SERVER_ERROR),
    ],
)
async def test_the_status_says_what_came_of_it(sender: HttpSender, status: int, outcome: Outcome) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(answers(status))
        attempt = await post(sender, endpoint)
    assert (attempt.outcome, attempt.status) == (outcome, status)


async def test_a_redirect_is_a_failure_and_is_not_followed(sender: HttpSender) -> None:
    async with Endpoint() as endpoint, Endpoint() as elsewhere:
        endpoint.conducts.append(answers(307, location=elsewhere.url))
        attempt = await post(sender, endpoint)
    assert (attempt.outcome, attempt.status) == (Outcome.REDIRECTED, 307)
    assert attempt.detail.endswith("not followed")
    assert not elsewhere.requests


async def test_retry_after_is_read_as_seconds_or_a_date_and_nonsense_is_ignored(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        for retry_after in ("17", "Fri, 31 Dec 2199 23:59:59 GMT", "later"):
            endpoint.conducts.append(answers(429, retry_after=retry_after))
        asked_s = [(await post(sender, endpoint)).retry_after_s for _ in range(3)]
    assert asked_s[0] == 17
    assert asked_s[1] is not None
    assert asked_s[1] > 1e9
    assert asked_s[2] is None


@pytest.mark.parametrize("conducted", [conduct.never_answers, conduct.never_ends_its_head])
async def test_an_endpoint_that_keeps_us_waiting_times_out(sender: HttpSender, conducted: Conduct) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(conducted)
        attempt = await post(sender, endpoint, 0.3)
        assert (attempt.outcome, attempt.status) == (Outcome.TIMED_OUT, None)
        assert (await post(sender, endpoint)).outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    "conducted", [conduct.resets, conduct.closes, conduct.breaks_off_in_the_head, conduct.speaks_no_http]
)
async def test_half_an_answer_is_none(sender: HttpSender, conducted: Conduct) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(conducted)
        attempt = await post(sender, endpoint)
        assert (attempt.outcome, attempt.status) == (Outcome.CONNECTION_RESET, None)
        assert (await post(sender, endpoint)).outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    "conducted", [conduct.breaks_off_in_the_body, conduct.never_begins_its_body, conduct.never_ends_its_body]
)
async def test_the_status_line_decides_whatever_follows_it(sender: HttpSender, conducted: Conduct) -> None:
    async with Endpoint() as endpoint:
        endpoint.conducts.append(conducted)
        async with asyncio.timeout(20):  # far less than the attempt's own
            attempt = await post(sender, endpoint, 60)
        assert (attempt.outcome, attempt.status) == (Outcome.DELIVERED, 200)
        assert (await post(sender, endpoint)).outcome is Outcome.DELIVERED


async def test_an_endpoint_that_is_not_there_refuses_the_connection(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        pass
    attempt = await post(sender, endpoint)
    assert (attempt.outcome, attempt.detail) == (Outcome.CONNECTION_REFUSED, "connection refused")


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("ftp://127.0.0.1/secret-path", Outcome.NOT_SENT),
        ("http://127.0.0.1:secret-path/", Outcome.NOT_SENT),
        ("secret-path", Outcome.NOT_SENT),
        ("", Outcome.NOT_SENT),
        ("http://", Outcome.NOT_SENT),
        ("http://secret-path.invalid/", Outcome.DNS_ERROR),
        ("http://" + "secret-path" * 20 + ".invalid/", None),
        ("http://secret-päth.invalid/", None),
        ("http://[::1/secret-path", Outcome.NOT_SENT),
        ("http://127.0.0.1:99999/secret-path", Outcome.NOT_SENT),
    ],
)
async def test_a_url_that_cannot_be_used_is_not_quoted(sender: HttpSender, url: str, outcome: Outcome | None) -> None:
    attempt = await sender.post(a_claimed(url, "whsec_" + "A" * 44), datetime.now(UTC), 10)
    assert attempt.outcome is outcome or (outcome is None and attempt.outcome in {Outcome.NOT_SENT, Outcome.DNS_ERROR})
    assert attempt.status is None
    assert attempt.detail
    assert "secret" not in attempt.detail


async def test_a_secret_that_is_none_sends_nothing_and_is_not_quoted(sender: HttpSender) -> None:
    async with Endpoint() as endpoint:
        attempt = await sender.post(a_claimed(endpoint.url, "hunter2"), datetime.now(UTC), 10)
    assert attempt.outcome is Outcome.NOT_SENT
    assert "hunter2" not in attempt.detail
    assert not endpoint.requests


async def test_neither_url_nor_secret_is_shown_with_a_claimed_notification() -> None:
    shown = repr(a_claimed("https://example.org/T0/secret-path", "whsec_hunter2"))
    assert "secret-path" not in shown
    assert "hunter2" not in shown


async def test_a_slow_endpoint_does_not_hold_up_another(sender: HttpSender) -> None:
    async with Endpoint() as slow, Endpoint() as quick:
        slow.conduct_of = lambda _: conduct.never_answers
        held_up = [asyncio.create_task(post(sender, slow)) for _ in range(50)]
        await eventually(lambda: slow.most_at_once == 50)
        assert (await post(sender, quick)).outcome is Outcome.DELIVERED
        for task in held_up:
            task.cancel()
        await asyncio.gather(*held_up, return_exceptions=True)


async def test_https_delivers_to_a_trusted_endpoint_only(sender: HttpSender, certificate: Path) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    async with Endpoint(serving) as endpoint, HttpSender(trusted(certificate), ON_LOOPBACK) as trusts:
        attempt = await post(sender, endpoint)
        assert (attempt.outcome, attempt.detail) == (Outcome.TLS_ERROR, "CERTIFICATE_VERIFY_FAILED")
        assert not endpoint.requests
        assert (await post(trusts, endpoint)).outcome is Outcome.DELIVERED


async def test_https_to_a_port_that_speaks_http_is_a_tls_failure(sender: HttpSender) -> None:
    async def answer_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_at_once, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        attempt = await sender.post(a_claimed(url, "whsec_" + "A" * 44), datetime.now(UTC), 10)
    assert (attempt.outcome, attempt.detail) == (Outcome.TLS_ERROR, "WRONG_VERSION_NUMBER")
