"""Are pumps watched, and would somebody be told? As the tables show it, and by knocking at each endpoint."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from service.doctor.finding import Finding, ok, problem, warning
from service.postgres.health import broken_links
from service.settings import Settings

KNOCKS_WITHIN_S: Final = 5.0
_DO: Final = {
    "broker": "see *broker* here, and the ingester's log",
    "ingest": "start `pumpwatch run ingest`, or see its last lines",
    "watch": "start `pumpwatch run watch`, or see its last lines",
    "deliver": "start `pumpwatch run deliver`, or see its last lines: nobody is told of anything",
    "canary": "docs/operations.md, canary_lost",
}
_PORTS: Final = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}

_ENDPOINTS: Final = """
SELECT e.name, e.url, e.enabled, c.opened_at,
    (SELECT max(n.settled_at) FROM notification AS n WHERE n.endpoint = e.id AND n.state = 'delivered') AS delivered_at
FROM endpoint AS e LEFT JOIN circuit AS c ON c.endpoint = e.id
WHERE e.deleted_at IS NULL AND NOT e.canary ORDER BY e.name
"""


async def look(connection: asyncpg.Connection, settings: Settings, now: datetime) -> list[Finding]:
    links = await broken_links(connection, now)
    found = [problem("watching", why, _DO.get(link, "docs/operations.md")) for link, why in links]
    found = found or [ok("watching", "every role is heard, every shard is caught up, and the canary arrives")]
    return [*found, *await _endpoints(await connection.fetch(_ENDPOINTS)), *await _others(settings)]


async def _endpoints(rows: Sequence[asyncpg.Record]) -> list[Finding]:
    area, enabled = "endpoints", [row for row in rows if row["enabled"]]
    if not enabled:
        return [
            problem(area, "there is none: nobody is told of any alert", "`pumpwatch endpoint add --name … --url …`")
        ]
    knocked = await asyncio.gather(*(knock(row["url"]) for row in enabled))
    found = []
    for row, why in zip(enabled, knocked, strict=True):
        said = (
            f"{row['name']}: last delivered {row['delivered_at']:%Y-%m-%d %H:%M} UTC"
            if row["delivered_at"]
            else f"{row['name']}: nothing was ever delivered"
        )
        if why:
            found.append(problem(area, f"{row['name']}: {why}", "is the address right, and may this machine go there?"))
        elif row["opened_at"] is not None:
            found.append(
                problem(
                    area,
                    f"{row['name']}: fails, and is only probed",
                    f"`pumpwatch deliveries list --endpoint {row['name']}`",
                )
            )
        elif row["delivered_at"] is None:
            found.append(warning(area, said, f"`pumpwatch endpoint test {row['name']}`"))
        else:
            found.append(ok(area, said))
    return found


async def _others(settings: Settings) -> list[Finding]:
    """Who is told without the database, who is called while all is well, and where the canary's alerts go."""
    named = {
        "PUMPWATCH_OUTAGE_URL": settings.outage_url,
        "PUMPWATCH_HEARTBEAT_URL": settings.heartbeat_url,
        "PUMPWATCH_CANARY_URL": settings.canary_address if settings.canary_every_s else "",
    }
    given = {name: url for name, url in named.items() if url}
    knocked = await asyncio.gather(*map(knock, given.values()))
    do = "is the address right, is it up, and may this machine go there?"
    return [
        problem("endpoints", f"{name}: {why}", do) if why else ok("endpoints", f"{name}: somebody listens")
        for name, why in zip(given, knocked, strict=True)
    ]


async def knock(url: str) -> str:
    """Why nobody takes a connection there; nothing is sent."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(KNOCKS_WITHIN_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORTS[parts.scheme])
    except socket.gaierror:
        return "the name of its host is not known"
    except TimeoutError:
        return f"no connection within {KNOCKS_WITHIN_S:.0f} s"
    except OSError as error:
        return f"no connection: {error.strerror or error}"
    writer.close()
    return ""
