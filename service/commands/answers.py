"""What is open, what has happened to it, and what does a person say to it? A part of `pumpwatch alerts`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from service.commands.arguments import instant
from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.alert import AlertState, AlreadyAcknowledgedError, IllegalTransitionError
from service.core.answers import ShelfRefusedError
from service.core.change import Priority
from service.core.rulebook import DEFAULT_RULEBOOK, parse_kept
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres import alert_queries
from service.postgres.accounts import audit
from service.postgres.alerts import AlertStore, UnknownAlertError
from service.postgres.rulebooks import newest_text

_HISTORY: Final = ("number", "at", "event", "actor", "state", "priority", "note")
_TOLD: Final = ("created_at", "endpoint", "kind", "state", "settled_at", "id")


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    listing = actions.add_parser("list", help="the newest first; those that are open, unless told otherwise")
    listing.add_argument("--state", choices=("open", *AlertState, "any"), default="open")
    listing.add_argument("--pump", metavar="ID")
    listing.add_argument("--priority", choices=tuple(Priority))
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (100)")
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="one with its history, and who was told")
    show.set_defaults(run=run_show)
    acknowledge = actions.add_parser("acknowledge", help="somebody has seen it: nobody else is told")
    acknowledge.set_defaults(run=run_answer, answer=_acknowledge, action="alert_acknowledged")
    reset = actions.add_parser("reset", help="what has ended is dealt with")
    reset.set_defaults(run=run_answer, answer=_reset, action="alert_reset")
    shelve = actions.add_parser("shelve", help="hear no more of it until a time")
    shelve.add_argument("--reason", dest="note", type=_note, required=True)
    until = shelve.add_mutually_exclusive_group(required=True)
    until.add_argument("--until", type=instant, metavar="TIME", help="2026-11-22T20:00:00Z")
    until.add_argument("--minutes", type=float, metavar="N", help="from now")
    shelve.set_defaults(run=run_answer, answer=_shelve, action="alert_shelved")
    unshelve = actions.add_parser("unshelve", help="hear of it again")
    unshelve.set_defaults(run=run_answer, answer=_unshelve, action="alert_unshelved")
    for action in (acknowledge, reset, unshelve):
        action.add_argument("--note", type=_note, default="", help="why, or what was done; no personal data")
    for action in (show, acknowledge, reset, shelve, unshelve):
        action.add_argument("id", type=UUID)
    for action in (listing, show, acknowledge, reset, shelve, unshelve):
        add_database_url(action)


def run_list(arguments: argparse.Namespace) -> int:
    states = {"open": [AlertState.ACTIVE, AlertState.LATCHED], "any": None}

    async def ask(connection: asyncpg.Connection) -> list[asyncpg.Record]:
        return await alert_queries.alerts(
            connection,
            after=None,
            states=states.get(arguments.state, [arguments.state]),
            pump_id=arguments.pump,
            conditions=None,
            priorities=[arguments.priority] if arguments.priority else None,
            since=None,
            limit=arguments.limit,
        )

    rows = with_database(settings_of(arguments), ask)
    columns = ("id", "subject", "condition", "priority", "state", "raised_at", "acknowledged_by", "shelved_until")
    header = ("ID", "SUBJECT", "CONDITION", "PRIORITY", "STATE", "RAISED", "ANSWERED", "SHELVED")
    print(table(header, [[row[column] for column in columns] for row in rows]))
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    async def ask(
        connection: asyncpg.Connection,
    ) -> tuple[asyncpg.Record | None, list[asyncpg.Record], list[asyncpg.Record]]:
        return (
            await alert_queries.alert(connection, arguments.id),
            await alert_queries.history(connection, arguments.id),
            await alert_queries.notifications(connection, arguments.id),
        )

    row, history, told = with_database(settings_of(arguments), ask)
    if row is None:
        return _failed(f"there is no alert {arguments.id}")
    shown = [(name, value) for name, value in row.items() if value is not None and name != "evidence"]
    print(table(("WHAT", "IS"), shown))
    _print("NUMBER AT EVENT ACTOR STATE PRIORITY NOTE", history, _HISTORY)
    _print("MADE ENDPOINT KIND STATE SETTLED DELIVERY", told, _TOLD)
    return EXIT_OK


def _print(header: str, rows: Sequence[asyncpg.Record], columns: Sequence[str]) -> None:
    print("\n" + table(header.split(), [[row[column] for column in columns] for row in rows]))


def run_answer(arguments: argparse.Namespace) -> int:
    """Alert, history, notifications and audit: all of it, or nothing."""

    async def answer(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            text = await newest_text(connection)
            store = AlertStore(parse_kept(text)[0] if text else DEFAULT_RULEBOOK)
            await arguments.answer(store, connection, arguments, datetime.now(UTC))
            await audit(connection, actor(), arguments.action, str(arguments.id), {"note": arguments.note})

    try:
        with_database(settings_of(arguments), answer)
    except AlreadyAcknowledgedError as error:
        return _failed(f"already acknowledged by {error.by} at {error.at.isoformat(timespec='seconds')}")
    except ShelfRefusedError as error:
        return _failed(str(error), EXIT_USAGE if error.field in {"reason", "until"} else EXIT_PROBLEMS)
    except (UnknownAlertError, IllegalTransitionError) as error:
        return _failed(str(error))
    print(f"{arguments.action.replace('_', ' ')}: {arguments.id}")
    return EXIT_OK


async def _acknowledge(
    store: AlertStore, connection: asyncpg.Connection, given: argparse.Namespace, now: datetime
) -> object:
    return await store.acknowledge(connection, given.id, actor(), given.note, now)


async def _reset(store: AlertStore, connection: asyncpg.Connection, given: argparse.Namespace, now: datetime) -> object:
    return await store.reset(connection, given.id, actor(), given.note, now)


async def _shelve(
    store: AlertStore, connection: asyncpg.Connection, given: argparse.Namespace, now: datetime
) -> object:
    until = given.until or now + timedelta(minutes=given.minutes)
    return await store.shelve(connection, given.id, actor(), given.note, now, until=until)


async def _unshelve(
    store: AlertStore, connection: asyncpg.Connection, given: argparse.Namespace, now: datetime
) -> object:
    return await store.unshelve(connection, given.id, actor(), given.note, now)


def _note(text: str) -> str:
    if len(text) > 2000 or not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise argparse.ArgumentTypeError("at most 2000 characters, and none that controls a terminal")
    return text


def _failed(why: str, code: int = EXIT_PROBLEMS) -> int:
    print(why, file=sys.stderr)
    return code
