"""How does a command ask the database? Over one connection, under the name of the account that runs it."""

import argparse
import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from service.settings import Settings, load

CONNECT_WITHIN_S: Final = 10.0
T = TypeVar("T")


def add_database_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database-url", metavar="URL", help="instead of PUMPWATCH_DATABASE_URL")


def settings_of(arguments: argparse.Namespace) -> Settings:
    return load(required=["database_url"], database_url=arguments.database_url)


def with_database(settings: Settings, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Run `work` on a connection that is closed afterwards, and return what it returns."""

    async def run() -> T:
        connection = await asyncpg.connect(settings.database_url, timeout=CONNECT_WITHIN_S)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def actor() -> str:
    """Who the audit says it was."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # containers run under numbers that have no name
        return f"cli:{os.getuid()}"
