"""How is NATS asked about itself? Over HTTP, at the address of its monitoring."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from service.core.broker import Report, of_nats
from service.core.broker_cluster import Node, of_cluster

ANSWERS_WITHIN_S: Final = 5.0
_UNWELL: Final = 503  # /healthz says so, and why


async def ask_nats(urls: str) -> list[Report]:
    """Of the nodes of a cluster, by commas, those that answer, and what that says of the others.

    Of a single one raises OSError where it does not answer, ValueError where that is not what NATS answers.
    """
    asked = urls.split(",")
    answers = await asyncio.gather(*map(_ask, asked), return_exceptions=True)
    nodes = [answer for answer in answers if isinstance(answer, Node)]
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for failure in failures:
        if len(asked) == 1 or not isinstance(failure, OSError | ValueError):
            raise failure
    of_each = {report.what: report for node in nodes for report in of_nats(node.jetstream)}
    silent = [urlsplit(url).netloc for url, answer in zip(asked, answers, strict=True) if not isinstance(answer, Node)]
    return [*of_each.values(), *of_cluster(nodes, silent)]


async def _ask(url: str) -> Node:
    try:
        async with httpx.AsyncClient(base_url=url.rstrip("/"), timeout=ANSWERS_WITHIN_S) as client:
            routes = _said(await client.get("/routez"))
            jetstream = _said(await client.get("/jsz?streams=true&config=true"))
            health = _said(await client.get("/healthz"), _UNWELL)
    except httpx.HTTPError as error:
        raise OSError(f"{type(error).__name__}") from None
    return Node(routes, jetstream, health)


def _said(answer: httpx.Response, *also: int) -> Mapping[str, Any]:
    if not answer.is_success and answer.status_code not in also:
        raise ValueError(f"status {answer.status_code}")
    said = answer.json()
    if not isinstance(said, dict):
        raise ValueError("not the object that NATS answers")  # noqa: TRY004 - it is what a stranger has sent
    return said
