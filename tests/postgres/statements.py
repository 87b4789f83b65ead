"""What does this version say to its database? Every statement, as JSON: what the next version is held against.

At a release: `python -m tests.postgres.statements > tests/postgres/statements_before.json`. From then on the schema of
the next version must take every one of them, so that old processes go on beside new ones while they are replaced.
"""

import asyncio
import json
import pkgutil
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import asyncpg

import service.postgres
from service.embedded.postgres import PostgresServer
from service.postgres.migrate import migrate

BEFORE = Path(__file__).with_name("statements_before.json")
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def said() -> Iterator[str]:
    """Every constant of our modules that reads like a statement."""
    for module in pkgutil.iter_modules(service.postgres.__path__, "service.postgres."):
        for value in vars(import_module(module.name)).values():
            texts = value.values() if isinstance(value, dict) else [value]
            yield from (text for text in texts if isinstance(text, str) and STATEMENT.match(text))


async def refused(connection: asyncpg.Connection, statements: Iterable[str]) -> dict[str, str]:
    """Those that the database does not understand, and what it says."""
    found = {}
    for statement in statements:
        try:
            await connection.prepare(statement)
        except asyncpg.PostgresError as error:
            found[" ".join(statement.split())] = str(error)
    return found


async def _understood() -> list[str]:
    """Without the fragments that are put together elsewhere: nobody says those."""
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory))
        server.start()
        try:
            await migrate(server.url())
            connection = await asyncpg.connect(server.url())
            statements = sorted({" ".join(text.split()) for text in said() if "--" not in text})
            fragments = await refused(connection, statements)
            await connection.close()
        finally:
            server.stop()
    return [statement for statement in statements if statement not in fragments]


if __name__ == "__main__":
    json.dump(asyncio.run(_understood()), sys.stdout, indent=0)
    sys.stdout.write("\n")
