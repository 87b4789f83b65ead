"""A deed that is killed (SIGKILL) right after its n-th statement, for every n: run as a program by its tests.

Each life is a fork, so that it costs no start of Python. It says in a line of JSON what stands in the tables, and
before it dies after which statement that is; the one that comes to its end says null, and once more what stands.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import msgspec
from prometheus_client import CollectorRegistry

from service.api.app import create_app
from service.core.rulebook import DEFAULT_RULEBOOK
from service.metrics import Metrics
from service.postgres import escalations
from service.postgres.alerts import AlertStore
from service.settings import load
from tests.keys import KEY
from tests.loops.driven import Driven, telemetry
from tests.postgres.ward import STORE

COUNTED = ("alert", "alert_history", "notification", "audit", "reading", "escalation_policy")
"""Tables whose rows are counted after each life. Nothing is ever deleted from them."""
STANDS = f"""
SELECT {", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in COUNTED)},
    (SELECT coalesce(sum(version), 0) FROM alert) AS versions,
    (SELECT count(*) FROM notification WHERE state = 'pending') AS pending
"""


class Death:
    """Comes after so many statements, counted from `begin`."""

    def __init__(self, after: int) -> None:
        self._left: int | None = None
        self._after = after

    def begin(self) -> None:
        self._left = self._after

    def after(self, statement: str) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left == 0:
            say(" ".join(statement.split())[:1000])
            os.kill(os.getpid(), signal.SIGKILL)


def mortal(death: Death) -> type[asyncpg.Connection]:
    """A connection that dies before it can send its next statement."""

    class Mortal(asyncpg.Connection):
        async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
            done = await super().execute(query, *arguments, **options)
            death.after(query)
            return done

        async def executemany(self, command: str, *arguments: Any, **options: Any) -> None:
            await super().executemany(command, *arguments, **options)
            death.after(command)

        async def fetch(self, query: str, *arguments: Any, **options: Any) -> list[asyncpg.Record]:
            found = await super().fetch(query, *arguments, **options)
            death.after(query)
            return found

        async def fetchrow(self, query: str, *arguments: Any, **options: Any) -> asyncpg.Record | None:
            found = await super().fetchrow(query, *arguments, **options)
            death.after(query)
            return found

        async def fetchval(self, query: str, *arguments: Any, **options: Any) -> Any:
            found = await super().fetchval(query, *arguments, **options)
            death.after(query)
            return found

        async def copy_to_table(self, table_name: str, **options: Any) -> str:
            done = await super().copy_to_table(table_name, **options)
            death.after(f"COPY {table_name}")
            return done

    return Mortal


async def look(death: Death, url: str, now: str) -> None:
    """The watch looks once at what is due."""
    connection = await asyncpg.connect(url)
    death.begin()
    await escalations.look_once(connection, STORE, datetime.fromisoformat(now))
    await connection.close()


async def batch(death: Death, url: str) -> None:
    """An ingester takes a batch that ends one alert and begins another; no longer than is judged at once."""
    driven = Driven(url)
    await driven.start()
    death.begin()
    driven.send("recovers", telemetry(70, [1.0] * 55))
    driven.send("stalls", telemetry(0, [1.0] * 5 + [0.0] * 50))
    await driven.turn()
    await driven.store.close()


async def command(
    death: Death, url: str, token: str, now: str, method: str, path: str, body: str, if_match: str
) -> None:
    """A person does something over HTTP."""
    death.begin()
    settings = load(
        {}, required=[], database_url=url, broker_url="mqtt://127.0.0.1:1883", secret_key=KEY, webhook_allow=""
    )
    async with asyncpg.create_pool(url, min_size=0, max_size=2) as pool:
        app = create_app(
            pool,
            settings,
            Metrics(CollectorRegistry()),
            lambda: datetime.fromisoformat(now),
            AlertStore(DEFAULT_RULEBOOK),
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "If-Match": if_match}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here/api/v1", headers=headers) as client:
            answer = await client.request(method, path, content=body)
            assert answer.status_code in {200, 201, 202, 409, 412}, answer.text


DEEDS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"look": look, "batch": batch, "command": command}


async def life(deed: str, url: str, words: list[str], after: int) -> None:
    """Say what stands, do the deed; every connection that it makes counts."""
    await tell(url)
    death = Death(after)
    connect, which = asyncpg.connection.connect, mortal(death)

    async def counted(*arguments: Any, **options: Any) -> asyncpg.Connection:
        return await connect(*arguments, **{**options, "connection_class": which})

    asyncpg.connect = asyncpg.connection.connect = counted
    await DEEDS[deed](death, url, *words)
    asyncpg.connect = asyncpg.connection.connect = connect
    say(None)
    await tell(url)


async def tell(url: str) -> None:
    connection = await asyncpg.connect(url)
    say(dict(await connection.fetchrow(STANDS)))
    await connection.close()


def say(what: object) -> None:
    os.write(1, msgspec.json.encode(what) + b"\n")


def main(deed: str, url: str, *words: str) -> None:
    for after in range(1, 1000):
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(life(deed, url, list(words), after))
            except BaseException:  # noqa: BLE001 - a fork must never return to what its parent was about to do
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(*sys.argv[1:])
