"""Who asks more than anybody needs is told to wait, and nobody else is."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from uuid import uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import HTTPConnection

from service import logs
from service.api.problems import Problem
from service.api.throttle import AT_ONCE_S, Throttle
from service.core.allowance import MOST_KEPT
from service.metrics import Metrics
from service.postgres import people
from service.postgres.accounts import Account, Role, revoke_token
from service.settings import load
from tests.api.ward import Ward, problem, staffed

OF_ACCOUNT, OF_ADDRESS = 20, 4  # at once
A_SECOND = {"api_requests_per_s": OF_ACCOUNT / AT_ONCE_S, "api_strangers_per_s": OF_ADDRESS / AT_ONCE_S}
ADDRESS = "203.0.113.9"
GUESSED = {"Authorization": "Bearer pumpwatch_guessed"}


class Stopped:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def elapsed_s() -> Stopped:
    return Stopped()


@pytest.fixture
async def limited(postgres_url: str, elapsed_s: Stopped) -> AsyncIterator[Ward]:
    async with staffed(postgres_url, elapsed_s=elapsed_s, api_proxies="127.0.0.1", **A_SECOND) as ward:
        yield ward


async def statuses(client: httpx.AsyncClient, path: str, times: int, **request: object) -> list[int]:
    return [(await client.get(path, **request)).status_code for _ in range(times)]


async def test_a_token_that_asks_too_much_is_told_when_to_come_again_and_no_other_waits(
    limited: Ward, elapsed_s: Stopped
) -> None:
    assert await statuses(limited.viewer, "/sites", OF_ACCOUNT) == [200] * OF_ACCOUNT
    refused = await limited.viewer.get("/sites")
    assert "account" in problem(refused, 429)["detail"]
    assert refused.headers["retry-after"] == "1"
    assert (await limited.clinician.get("/sites")).status_code == 200, "from the same address"

    elapsed_s.now_s += int(refused.headers["retry-after"])
    assert (await limited.viewer.get("/sites")).status_code == 200
    text = (await limited.client.get("/metrics")).text
    assert 'pumpwatch_api_requests_throttled_total{by="account"} 1.0' in text
    assert 'status="429"} 1.0' in text


async def test_many_behind_one_address_are_not_cut_off_by_a_stranger_among_them(limited: Ward) -> None:
    """A ward behind one NAT: who was let in before does not stand in the line of those whom nobody knows."""
    for known in (limited.viewer, limited.clinician, limited.administrator):
        assert await statuses(known, "/sites", OF_ADDRESS) == [200] * OF_ADDRESS
    guesses = await statuses(limited.client, "/api/v1/sites", OF_ADDRESS + 3, headers=GUESSED)
    assert guesses == [401] * OF_ADDRESS + [429] * 3
    for known in (limited.viewer, limited.clinician, limited.administrator):
        assert (await known.get("/sites")).status_code == 200
    text = (await limited.client.get("/metrics")).text
    assert 'pumpwatch_api_requests_throttled_total{by="address"} 3.0' in text


async def test_every_door_for_strangers_counts_and_health_and_the_canary_stay_open(limited: Ward) -> None:
    wrong = {"name": "dr-weber", "password": "guessed"}
    assert await statuses(limited.client, "/login/guessed", 1) == [410]
    assert await statuses(limited.client, "/a/guessed", 1) == [404]
    assert (await limited.client.post("/api/v1/session", json=wrong)).status_code == 401
    assert await statuses(limited.client, "/api/v1/sites", 1) == [401]
    for path in ("/login/guessed", "/a/guessed", "/no-such-path"):
        assert await statuses(limited.client, path, 1) == [429]
    problem(await limited.client.get("/api/v1/sites"), 429)
    problem(await limited.client.post("/api/v1/session", json=wrong), 429)

    assert await statuses(limited.client, "/live", 20) == [200] * 20
    assert await statuses(limited.client, "/ready", 20) == [503] * 20
    assert await statuses(limited.client, "/metrics", 20) == [200] * 20
    heard = [(await limited.client.post("/hooks/canary")).status_code for _ in range(OF_ADDRESS + 1)]
    assert heard == [401] * OF_ADDRESS + [429]


async def test_behind_a_proxy_of_ours_each_address_counts_for_itself(limited: Ward) -> None:
    def comes(address: str) -> dict[str, str]:
        return GUESSED | {"X-Forwarded-For": f"198.51.100.7, {address}"}

    eve = comes("203.0.113.66")
    assert await statuses(limited.client, "/api/v1/sites", OF_ADDRESS + 1, headers=eve) == [401] * OF_ADDRESS + [429]
    assert await statuses(limited.client, "/api/v1/sites", 1, headers=comes("203.0.113.9")) == [401]
    assert await statuses(limited.client, "/api/v1/sites", 1, headers=eve) == [429]


async def test_a_person_counts_once_with_however_many_sessions(limited: Ward) -> None:
    account = await people.add(limited.database, "dr-weber", Role.VIEWER, "test")
    now: datetime = limited.clock()
    sessions = [await people.begin_session(limited.database, account, "dr-weber", "link", now) for _ in range(8)]
    answers = []
    for _ in range(4):
        for session in sessions:
            cookie = {"Cookie": f"pumpwatch_session={session}"}
            answers += await statuses(limited.client, "/api/v1/sites", 1, headers=cookie)
    assert answers == [200] * OF_ACCOUNT + [429] * (32 - OF_ACCOUNT)


async def test_a_token_that_was_revoked_is_a_strangers_from_then_on(limited: Ward) -> None:
    assert await statuses(limited.viewer, "/sites", 2) == [200] * 2
    await revoke_token(limited.database, "the-viewer", "test")
    assert await statuses(limited.viewer, "/sites", OF_ADDRESS + 2) == [401] * (OF_ADDRESS + 1) + [429]


def test_where_nothing_is_said_a_program_may_ask_two_hundred_a_second_and_begin_with_a_thousand(
    elapsed_s: Stopped,
) -> None:
    throttle, program = alone(elapsed_s)
    for _ in range(1_000):
        throttle.admit("its token", program)
    for _ in range(60):
        elapsed_s.now_s += 1
        for _ in range(200):
            throttle.admit("its token", program)
    with pytest.raises(Problem, match="try again in 1 s"):
        throttle.admit("its token", program)


def test_no_more_are_remembered_however_many_come(elapsed_s: Stopped) -> None:
    throttle, anybody = alone(elapsed_s, api_strangers_per_s=0)
    for n in range(2 * MOST_KEPT):
        paid = throttle.admit(f"token {n}", anybody)
        throttle.recognise(f"token {n}", Account(uuid4(), f"program-{n}", Role.VIEWER), paid)
    assert throttle.admit("token 0", anybody) == ADDRESS, "forgotten: the address pays again"
    assert throttle.admit(f"token {2 * MOST_KEPT - 1}", anybody) is None


def test_the_log_says_which_account_by_its_id_and_neither_a_name_nor_an_address(
    elapsed_s: Stopped, capsys: pytest.CaptureFixture[str]
) -> None:
    throttle, request = alone(elapsed_s, **A_SECOND)
    ward = Account(uuid4(), "dr-weber", Role.CLINICIAN)
    throttle.recognise("a session", ward, throttle.admit("a session", request))
    logs.configure("api", "info")
    for held in ("a session", "guessed"):
        for _ in range(OF_ACCOUNT + 1):
            with suppress(Problem):
                throttle.admit(held, request)
    of_account, of_address = capsys.readouterr().err.splitlines()
    assert of_account.endswith(f" warning pumpwatch.api requests_throttled by=account account={ward.id}")
    assert of_address.endswith(" warning pumpwatch.api requests_throttled by=address")


def alone(elapsed_s: Stopped, **settings: object) -> tuple[Throttle, HTTPConnection]:
    """One without an API around it, a request, and somebody whose token it knows."""
    configured = load({}, required=[], database_url="postgresql://database/p", **settings)
    throttle = Throttle(configured, Metrics(CollectorRegistry()), elapsed_s)
    request = HTTPConnection({"type": "http", "headers": [], "client": (ADDRESS, 4711)})
    known = Account(uuid4(), "program", Role.VIEWER)
    throttle.recognise("its token", known, throttle.admit("its token", request))
    elapsed_s.now_s += 60
    return throttle, request
