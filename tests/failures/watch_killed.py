"""A watch that is killed (SIGKILL) right after its n-th statement, for every n: run as a program by its test.

Each life is a fork, so that it costs no start of Python. What it was killed after is printed, a line a life; the last
line is `done`, when a life came to the end of its look.
"""

import asyncio
import os
import signal
import sys
from datetime import datetime

import asyncpg

from service.postgres import escalations
from tests.postgres.ward import STORE


async def look(url: str, now: datetime, dies_after: int) -> None:
    connection = await asyncpg.connect(url)
    statements = 0

    def count(record: asyncpg.connection.LoggedQuery) -> None:
        nonlocal statements
        statements += 1
        if statements == dies_after:
            name = " ".join(record.query.split())
            os.write(1, f"{name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    connection.add_query_logger(count)
    await escalations.look_once(connection, STORE, now)
    await asyncio.sleep(0)
    await connection.close()


def main(url: str, now: str) -> None:
    for dies_after in range(1, 1000):
        child = os.fork()
        if child == 0:
            asyncio.run(look(url, datetime.fromisoformat(now), dies_after))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            os.write(1, b"done\n")
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
