"""How is NATS asked about itself? Over HTTP, at the address of its monitoring."""

from typing import Final

import httpx

from service.core.broker import Report, of_nats

ANSWERS_WITHIN_S: Final = 5.0
_PATH: Final = "/jsz?streams=true&config=true"


async def ask_nats(urls: str) -> list[Report]:
    """Of the nodes of a cluster, by commas, those that answer. Raises as `_ask` does where none is left."""
    found: dict[str, Report] = {}
    failures: list[Exception] = []
    nodes = urls.split(",")
    for url in nodes:
        try:
            found |= {report.what: report for report in await _ask(url)}
        except (OSError, ValueError) as error:
            failures.append(error)
    if len(failures) == len(nodes):
        raise failures[0]
    return list(found.values())


async def _ask(url: str) -> list[Report]:
    """Raises OSError where it does not answer, ValueError where that is not what NATS answers."""
    try:
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN_S) as client:
            answer = await client.get(url.rstrip("/") + _PATH)
    except httpx.HTTPError as error:
        raise OSError(f"{type(error).__name__}") from None
    if not answer.is_success:
        raise ValueError(f"status {answer.status_code}")
    said = answer.json()
    if not isinstance(said, dict):
        raise ValueError("not the object that /jsz is")  # noqa: TRY004 - it is what a stranger has sent
    return of_nats(said)
