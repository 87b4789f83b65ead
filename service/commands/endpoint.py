"""`pumpwatch endpoint`: who is told of alerts, where and how. A signing secret is printed once."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.commands.output import table
from service.core.address import Allowed
from service.core.change import Priority
from service.core.endpoint import Format, endpoint_problems, settings_problems
from service.core.formats import render
from service.core.template import SAMPLE, SAMPLE_KEY
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.postgres import endpoints as store
from service.vault import vault_of

_SETTABLE = tuple(name for name in store.SETTABLE if name not in {"name", "url"})


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("endpoint", help="the webhook endpoints: add, change, test, rotate, disable …")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add an endpoint and print its signing secret, this once")
    add.add_argument("--name", required=True)
    add.add_argument("--url", required=True, help="https://…; others as PUMPWATCH_WEBHOOK_ALLOW says")
    _add_settings(add)
    add.set_defaults(run=run_add)
    change = actions.add_parser("change", help="set what is given; the rest stays as it is")
    change.add_argument("name")
    change.add_argument("--name", dest="new_name")
    change.add_argument("--url")
    change.add_argument("--refuses-simulated", dest="accepts_simulated", action="store_false", default=None)
    _add_settings(change)
    change.set_defaults(run=run_change)
    listing = actions.add_parser("list", help="say which endpoints there are, and how they are doing")
    listing.set_defaults(run=run_list)
    rotate = actions.add_parser("rotate", help="make a new signing secret and print it, this once")
    rotate.add_argument("--both-for-h", type=float, default=24.0, help="the old one signs beside it for so long (24)")
    rotate.set_defaults(run=run_rotate)
    test = actions.add_parser("test", help="send a test; `pumpwatch deliveries show ID` says what came of it")
    test.set_defaults(run=run_test)
    disable = actions.add_parser("disable", help="send nothing there any more")
    disable.set_defaults(run=run_switch, enabled=False)
    enable = actions.add_parser("enable", help="send there again, what has been waiting first")
    enable.set_defaults(run=run_switch, enabled=True)
    delete = actions.add_parser("delete", help="remove it, unless something is pending for it")
    delete.set_defaults(run=run_delete)
    for action in (rotate, test, disable, enable, delete):
        action.add_argument("name")
    for action in (add, change, listing, rotate, test, disable, enable, delete):
        add_database_url(action)
    preview = actions.add_parser("preview", help="print what an endpoint would be sent of a made-up alert")
    preview.add_argument("--format", default=Format.PUMPWATCH)
    preview.add_argument("--template", type=Path, metavar="FILE")
    preview.set_defaults(run=run_preview)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", help=f"one of {', '.join(Format)}")
    parser.add_argument("--template", type=Path, metavar="FILE", help="instead of a format; docs/interface.md")
    parser.add_argument("--routing-key", help="PagerDuty's")
    parser.add_argument("--priorities", nargs="+", metavar="PRIORITY", help=f"of {', '.join(Priority)}; default: all")
    parser.add_argument("--answer-within-s", type=float, metavar="S")
    parser.add_argument("--most-requests", type=int, metavar="N", help="at a time, of each priority (4)")
    parser.add_argument("--accepts-simulated", action="store_true", default=None)


def run_add(arguments: argparse.Namespace) -> int:
    settings, how = settings_of(arguments), _given(arguments)
    problems = endpoint_problems(arguments.name, arguments.url, Allowed.parse(settings.webhook_allow))
    problems += settings_problems(how, has_routing_key="routing_key" in how)
    if problems:
        return _refused(problems)
    vault = vault_of(settings)
    simulated = how.pop("accepts_simulated", False)

    async def add(connection: asyncpg.Connection) -> store.NewEndpoint:
        return await store.add_endpoint(
            connection, vault, arguments.name, arguments.url, actor(), accepts_simulated=simulated, **how
        )

    try:
        made = with_database(settings, add)
    except store.EndpointNameTakenError as error:
        return _failed(str(error))
    print(made.secret)
    print(f"{arguments.name} is {made.id}; its secret is not shown again", file=sys.stderr)
    return EXIT_OK


def run_change(arguments: argparse.Namespace) -> int:
    settings, given = settings_of(arguments), _given(arguments)
    if arguments.new_name is not None:
        given["name"] = arguments.new_name
    if arguments.url is not None:
        given["url"] = arguments.url
    vault, allowed = vault_of(settings), Allowed.parse(settings.webhook_allow)

    async def change(connection: asyncpg.Connection, row: asyncpg.Record) -> int:
        after = {**row, **given}
        known = {name: after.get(name) for name in _SETTABLE}
        problems = endpoint_problems(after["name"], after["url"], allowed)
        has_key = row["has_routing_key"] or "routing_key" in given
        problems += settings_problems(known | {"routing_key": given.get("routing_key")}, has_routing_key=has_key)
        if problems:
            return _refused(problems)
        if given:
            await store.update_endpoint(connection, vault, row["id"], given, actor())
        print(f"changed {after['name']}")
        return EXIT_OK

    try:
        return _with_endpoint(arguments, change)
    except store.EndpointNameTakenError as error:
        return _failed(str(error))


def run_list(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), store.endpoints)
    columns = ("name", "url", "accepts_simulated", "enabled", "created_at", "format", "pending")
    header = ("NAME", "URL", "SIMULATED", "ENABLED", "CREATED", "FORMAT", "PENDING", "CIRCUIT")
    circuits = ["open" if row["circuit_opened_at"] else "closed" for row in rows]
    lines = [[row[column] for column in columns] for row in rows]
    print(table(header, [[*line, circuit] for line, circuit in zip(lines, circuits, strict=True)]))
    return EXIT_OK


def run_rotate(arguments: argparse.Namespace) -> int:
    vault = vault_of(settings_of(arguments))
    both_for = timedelta(hours=max(arguments.both_for_h, 0.0))

    async def rotate(connection: asyncpg.Connection, row: asyncpg.Record) -> int:
        print(await store.rotate_secret(connection, vault, row["id"], actor(), both_for))
        return EXIT_OK

    return _with_endpoint(arguments, rotate)


def run_test(arguments: argparse.Namespace) -> int:
    async def fire(connection: asyncpg.Connection, row: asyncpg.Record) -> int:
        if not row["enabled"]:
            return _failed(f"{row['name']} is disabled")
        print(await store.fire_test(connection, row["id"], row["name"], actor(), datetime.now(UTC)))
        return EXIT_OK

    return _with_endpoint(arguments, fire)


def run_switch(arguments: argparse.Namespace) -> int:
    enabled: bool = arguments.enabled
    word = "enabled" if enabled else "disabled"

    async def switch(connection: asyncpg.Connection, row: asyncpg.Record) -> int:
        if not await store.enable_endpoint(connection, row["id"], actor(), enabled=enabled):
            return _failed(f"{row['name']} is {word} already")
        print(f"{word} {row['name']}")
        return EXIT_OK

    return _with_endpoint(arguments, switch)


def run_delete(arguments: argparse.Namespace) -> int:
    async def delete(connection: asyncpg.Connection, row: asyncpg.Record) -> int:
        try:
            await store.delete_endpoint(connection, row["id"], actor())
        except store.PendingError as error:
            return _failed(f"{row['name']}: {error}")
        print(f"deleted {row['name']}")
        return EXIT_OK

    return _with_endpoint(arguments, delete)


def run_preview(arguments: argparse.Namespace) -> int:
    given = {name: value for name, value in _given(arguments).items() if name in {"format", "template"}}
    if problems := settings_problems(given, has_routing_key=True):
        return _refused(problems)
    body = render("msg_1", SAMPLE, arguments.format, given.get("template"), SAMPLE_KEY)
    print(msgspec.json.format(body).decode())
    return EXIT_OK


def _with_endpoint(
    arguments: argparse.Namespace, work: Callable[[asyncpg.Connection, asyncpg.Record], Awaitable[int]]
) -> int:
    async def run(connection: asyncpg.Connection) -> int:
        rows = await store.endpoints(connection, name=arguments.name)
        return await work(connection, rows[0]) if rows else _failed(f"{arguments.name}: no endpoint has this name")

    return with_database(settings_of(arguments), run)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name, None) for name in _SETTABLE}
    if given["template"] is not None:
        given["template"] = given["template"].read_text(encoding="utf-8")
    return {name: value for name, value in given.items() if value is not None}


def _refused(problems: Sequence[tuple[str, str]]) -> int:
    print("\n".join(f"--{field.replace('_', '-')}: {what}" for field, what in problems), file=sys.stderr)
    return EXIT_USAGE


def _failed(why: str) -> int:
    print(why, file=sys.stderr)
    return EXIT_PROBLEMS
