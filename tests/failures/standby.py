"""A second PostgreSQL that follows the first, and can take its place."""

import os
import pwd
import shutil
from pathlib import Path

import asyncpg

from service.embedded.child import LOOPBACK
from service.embedded.postgres import PostgresServer
from tests.conftest import QUICK

NAME = "second"


class Standby(PostgresServer):
    """A copy of a server that has been stopped, made before either runs; it hears from it over the network."""

    @classmethod
    def of(cls, first: PostgresServer, its: Path, directory: Path) -> "Standby":
        """`its`: the directory that the first one stands in."""
        shutil.copytree(its, directory, symlinks=True, ignore=shutil.ignore_patterns("lock"))
        (directory / "cluster" / "standby.signal").touch()
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            for path in [directory / "cluster", *(directory / "cluster").rglob("*")]:
                os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        password = (directory / "password").read_text(encoding="ascii")
        source = f"host={LOOPBACK} port={first.port} user=postgres password={password} application_name={NAME}"
        return cls(directory, settings=QUICK | {"primary_conninfo": source})

    async def promote(self) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            assert await connection.fetchval("SELECT pg_promote()")
        finally:
            await connection.close()

    def _ready(self) -> bool:
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() in {"ready", "standby"}
