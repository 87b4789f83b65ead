"""The command line. Each command parses arguments, calls one function, prints its result."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final

import asyncpg

from service.embedded.child import EmbeddedServerError
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres.migrate import MigrationError
from service.settings import SettingsError
from service.vault import VaultError

COMMANDS: Final = (
    "up",
    "demo",
    "migrate",
    "doctor",
    "health",
    "run",
    "pumps",
    "cluster",
    "token",
    "account",
    "endpoint",
    "escalation",
    "deliveries",
    "drill",
    "rules",
    "quarantine",
    "ledger",
    "export",
    "erase",
    "boot",
    "audit",
    "alerts",
    "ca",
)
"""Each is the module of its name in `service.commands`."""
OURS = (SettingsError, VaultError, MigrationError, EmbeddedServerError)


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words).parse_args(words)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return EXIT_OK
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, *OURS) as error:
        line, code = explain(error)
        print(f"pumpwatch: {' '.join(line.split())}", file=sys.stderr)
        return code


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Only the command that `words` begin with is loaded, where they do: all of them together take a second."""
    top = argparse.ArgumentParser(
        prog="pumpwatch",
        description="Watches the telemetry of implanted drug pumps. Simulation, not for clinical use.",
        epilog="Exit codes: 0 done, 1 problems found, 2 usage or settings.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {version('pumpwatch')}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in [name for name in COMMANDS if name in words[:1]] or COMMANDS:
        import_module(f"service.commands.{command}").add_to(commands)
    return top


def explain(error: Exception) -> tuple[str, int]:
    """One line for what a neighbour or a setting did to us, and the exit code."""
    match error:
        case SettingsError() | VaultError():
            return str(error), EXIT_USAGE
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            return f"PUMPWATCH_DATABASE_URL: {error}", EXIT_USAGE
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return f"the database is of another version ({error}); see `pumpwatch migrate --check`", EXIT_PROBLEMS
        case OSError(errno=errno.EADDRINUSE | errno.EADDRNOTAVAIL | errno.EACCES) if error.filename is None:
            return f"PUMPWATCH_API_HOST, PUMPWATCH_API_PORT: {os.strerror(error.errno or 0)}", EXIT_USAGE
        case OSError() if error.filename is None:
            return f"cannot reach the database: {error or type(error).__name__}", EXIT_PROBLEMS
        case _:
            return str(error) or type(error).__name__, EXIT_PROBLEMS
