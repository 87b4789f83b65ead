"""`pumpwatch health ROLE`: does this role work, as a container's health check asks every half minute?

Something that it waits for is not its fault: while the database is away the roles that need it count as well, since
nothing would be better for a new start.
"""

import argparse
import asyncio
import http.client
import socket
import sys
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import asyncpg

from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.postgres.outage import OUTAGES
from service.settings import Settings, load
from service.webhooks.sender import pinned

ROLES: Final = ("ingest", "watch", "deliver", "api")
ANSWERS_WITHIN_S: Final = 5.0
HEARD_WITHIN: Final = timedelta(seconds=30)

# The last that was heard of a role of this host, by the database's own clock.
_HEARD: Final = """
SELECT clock_timestamp() - max(at) FROM role_heartbeat
WHERE role = $1 AND CASE $2::text WHEN '' THEN starts_with(instance, $3) ELSE instance = $2 END
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("health", help="does this role work on this machine? For health checks")
    parser.add_argument("role", choices=ROLES)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = load(required=["database_url"])
    problem = _of_api(settings) if arguments.role == "api" else asyncio.run(_of_role(settings, arguments.role))
    print(problem or f"{arguments.role} works", file=sys.stderr if problem else sys.stdout)
    return EXIT_PROBLEMS if problem else EXIT_OK


def _of_api(settings: Settings) -> str:
    """Whether it answers at all; /ready says of all roles together whether pumps are watched."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.api_host, settings.api_host)  # noqa: S104 - to ask
    if settings.api_cert_file is None:
        asked = http.client.HTTPConnection(host, settings.api_port, timeout=ANSWERS_WITHIN_S)
    else:
        context = pinned(settings.api_cert_file)
        asked = http.client.HTTPSConnection(host, settings.api_port, timeout=ANSWERS_WITHIN_S, context=context)
    try:
        asked.request("GET", "/live")
        status = asked.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"api: {error or type(error).__name__}"
    finally:
        asked.close()
    return "" if status == HTTPStatus.OK else f"api: status {status}"


async def _of_role(settings: Settings, role: str) -> str:
    host = socket.gethostname()
    whole, begins = "", f"{host}/"
    if role == "ingest":
        # By its shard, or in a cluster by its name, which begins with the host's where nobody has given it another.
        whole = settings.instance if settings.shards else f"shard-{settings.shard}"
        begins = f"{host[:30]}-"
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=ANSWERS_WITHIN_S)
        try:
            since: timedelta | None = await connection.fetchval(_HEARD, role, whole, begins)
        finally:
            connection.terminate()
    except OUTAGES:
        return ""
    except asyncpg.UndefinedTableError:
        return f"{role}: the database is not migrated"
    if since is None:
        return f"{role}: never heard"
    return "" if since < HEARD_WITHIN else f"{role}: last heard {since.total_seconds():.0f} s ago"
