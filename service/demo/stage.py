"""What does the demonstration run on? Servers, service, registry, clinic: each set up, and ended in reverse order."""

import asyncio
import contextlib
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, Self
from zoneinfo import available_timezones

import asyncpg

from service.core.registry import RegistryEntry, parse_registry
from service.embedded.child import LOOPBACK, Child, EmbeddedServerError, free_port, leashed
from service.embedded.nats import NatsServer
from service.embedded.postgres import PostgresServer
from service.postgres.accounts import Role, create_token
from service.postgres.endpoints import add_endpoint
from service.postgres.migrate import migrate
from service.postgres.registry import upsert
from service.settings import inherited_environment
from service.supervise import end_child
from service.vault import Vault, key_file

READY_WITHIN_S = 120.0
ACTOR = "demo"


class Addresses(NamedTuple):
    """Where things are, and with which token."""

    api_url: str
    token: str
    clinic_url: str
    broker_url: str
    database_url: str


class Stage:
    """An asynchronous stack of servers and programs under one directory, which is emptied first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._stack = AsyncExitStack()
        self._claim = Child(self.directory, "a demo")

    async def __aenter__(self) -> Self:
        if self.directory.is_dir() and any(self.directory.iterdir()) and not (self.directory / "lock").exists():
            raise EmbeddedServerError(f"{self.directory}: not empty, and not of an earlier demo")
        self._claim.own(patience_s=5.0)
        self._stack.callback(self._claim.disown)
        for left in self.directory.iterdir():
            if left.name != "lock":
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def servers(self) -> tuple[str, str]:
        """Start PostgreSQL, migrated, and NATS; return their addresses."""
        postgres = PostgresServer(self.directory / "postgres")
        self._stack.callback(postgres.stop)
        postgres.start()
        nats = NatsServer(self.directory / "nats")
        self._stack.callback(nats.stop)
        nats.start()
        await migrate(postgres.url())
        return postgres.url(), nats.mqtt_url

    async def open(self, database_url: str, broker_url: str, registry: Path) -> Addresses:
        """Enter the fleet and the clinic, then start the clinic and the service; return when it is ready."""
        clinic_url = f"http://{LOOPBACK}:{free_port()}"
        entries = _read(registry)
        keys = key_file(self.directory / "secret.key")
        token, secret = await _enter(database_url, Vault.of("", keys), entries, f"{clinic_url}/hook")
        clinic_port = clinic_url.rpartition(":")[2]
        record = self.directory / "received.ndjson"
        clinic = await self.program(
            "simulators", "clinic", "--port", clinic_port, "--secret", secret, "--record", record
        )
        await self._first_line(clinic, "clinic")
        api_port = free_port()
        environment = {
            "PUMPWATCH_DATABASE_URL": database_url,
            "PUMPWATCH_BROKER_URL": broker_url,
            "PUMPWATCH_API_PORT": str(api_port),
            "PUMPWATCH_PUBLIC_URL": f"http://{LOOPBACK}:{api_port}",
            "PUMPWATCH_SECRET_KEY_FILE": str(keys),
            "PUMPWATCH_CANARY_EVERY_S": "0",  # what the demo counts and shows is its fleet's
            "PUMPWATCH_WEBHOOK_ALLOW": "127.0.0.0/8",
        }
        up = await self.program("service", "up", environment=environment)
        while not (await self._first_line(up, "up")).startswith("ready"):
            pass
        return Addresses(f"http://{LOOPBACK}:{api_port}", token, clinic_url, broker_url, database_url)

    async def program(
        self, package: str, name: str, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start `python -m package name …`; what it logs is in `name`.log. It is ended with the stage."""
        command = leashed([sys.executable, "-m", package, name, *map(str, arguments)], signal.SIGTERM)
        with (self.directory / f"{name}.log").open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdout=PIPE,
                stderr=log,
                env=inherited_environment() | dict(environment or {}),
                process_group=0,  # a Ctrl-C at the terminal is for us; we end them in order
            )
        self._stack.push_async_callback(end_child, child)
        return child

    def last_words(self, name: str) -> str:
        lines = (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"

    async def _first_line(self, child: Process, name: str) -> str:
        line = b""
        if child.stdout:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READY_WITHIN_S):
                    line = await child.stdout.readline()
        if not line:
            raise EmbeddedServerError(f"{name} did not start: {self.last_words(name)}")
        return line.decode()


def _read(registry: Path) -> list[RegistryEntry]:
    entries, problems = parse_registry(registry.read_text(encoding="utf-8"), available_timezones())
    if problems:
        raise EmbeddedServerError(f"{registry}:{problems[0].line}: {problems[0].message}")
    return entries


async def _enter(database_url: str, vault: Vault, entries: Sequence[RegistryEntry], hook_url: str) -> tuple[str, str]:
    """Write fleet, clinic and a token into the database; return the token and the clinic's signing secret."""
    connection = await asyncpg.connect(database_url)
    try:
        await upsert(connection, entries)
        clinic = await add_endpoint(connection, vault, "clinic", hook_url, ACTOR, accepts_simulated=True)
        return await create_token(connection, "demo", Role.ADMINISTRATOR, ACTOR), clinic.secret
    finally:
        await connection.close()
