"""Whatever is asked, rightly or wrongly: no failure of ours, and no answer that the OpenAPI document does not have."""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation.modes import GenerationMode

from service.core.change import Condition
from service.core.reading import position_of
from service.postgres.accounts import Role
from tests.api.ward import NOW, Ward, enter, hear, problem, raise_alert, turn

EXAMPLES = 2  # of each request, right ones and as many wrong ones
WITHIN_S = 20.0
"""Then no further request is tried; those that change least are tried first."""
LEFT_OUT = {"/api/v1/stream", "/ready"}  # one is endless, and the other may well be 503
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture
async def lived_in(ward: Ward) -> Ward:
    """Something is there to be found."""
    return await live(ward)


async def live(ward: Ward) -> Ward:
    keys = await enter(ward, "p1", "p2")
    await hear(ward, keys["p1"])
    await raise_alert(ward, turn(keys["p1"], Condition.STALL))
    await ward.rows(
        "INSERT INTO reading SELECT $1::timestamptz - n * interval '1 minute', $2::bigint - n, $1, $3, 0.5, 0.5, 18,"
        " 2.9, 0 FROM generate_series(1, 60) AS n",
        *(NOW, position_of(7, 500), keys["p1"]),
    )
    return ward


def tried(
    document: dict[str, Any], url: str, token: str, examples: int = EXAMPLES, within_s: float = WITHIN_S
) -> tuple[int, list[str]]:
    """How many requests were sent, and what was wrong with their answers."""
    load_all_checks()
    checks = [CHECKS.get_one(name) for name in CHECKED]
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    found: list[str] = []
    sent = 0
    ends = time.monotonic() + within_s
    operations = [result.ok() for result in schema.get_all_operations()]
    order = ("get", "put", "post", "patch", "delete")
    for operation in sorted(operations, key=lambda each: order.index(each.method)):
        if operation.path in LEFT_OUT or time.monotonic() > ends:
            continue
        for mode in GenerationMode:

            @settings(
                max_examples=examples,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: schemathesis.Case) -> None:
                nonlocal sent
                sent += 1
                answer = case.call(session=session, timeout=30)
                try:
                    case.validate_response(answer, checks=checks)
                except BaseExceptionGroup as wrong:
                    found.extend(f"{case.method} {case.formatted_path}: {each}" for each in wrong.exceptions)

            with suppress(Unsatisfiable):  # nothing about this request can be wrong
                send()
    return sent, found


async def hold(ward: Ward, *how_much: float) -> None:
    document = json.loads((await ward.viewer.get("/openapi.json")).content)
    sent, found = await asyncio.to_thread(tried, document, ward.url, ward.tokens[Role.ADMINISTRATOR], *how_much)
    assert sent
    assert not found, "\n\n".join(found[:10])


async def test_no_request_makes_us_fail_or_answer_what_is_not_declared(lived_in: Ward) -> None:
    await hold(lived_in)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_nor_does_one_of_thousands(lived_in: Ward) -> None:
    await hold(lived_in, 25, 1500.0)


async def test_a_body_that_is_no_text_is_refused_with_the_field(ward: Ward) -> None:
    sent = {"content": b'{"note": "\xff"}', "headers": {"Content-Type": "application/json"}}
    found = problem(await ward.administrator.put("/sites/north", **sent), 422)
    assert [error["field"] for error in found["errors"]] == ["body"]
