"""`pumpwatch cluster`: what a cluster for so many pumps looks like, the limit of its stream, who has which shard."""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from service.commands.database import actor, add_database_url, settings_of, with_database
from service.core.cluster import Node, Ports, Wanted, plan, problems
from service.core.cluster_files import files
from service.core.shards import parse_shards, ranges_of
from service.exits import EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE
from service.mqtt.jetstream import limit_stream
from service.postgres.accounts import audit
from service.postgres.shard_owners import owners, want


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("cluster", help="plan a cluster of NATS nodes and ingesters")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    planning = actions.add_parser("plan", help="print the configuration for given numbers, or write it")
    planning.add_argument(
        "--node",
        action="append",
        metavar="HOST",
        help="a NATS server; three or five times (default: nats-1, nats-2 and nats-3)",
    )
    planning.add_argument("--ingesters", type=int, default=3, metavar="N")
    planning.add_argument("--pumps", type=int, default=10_000, metavar="N", help="how many are expected")
    planning.add_argument("--interval", type=float, default=60.0, metavar="S", help="seconds between two readings")
    planning.add_argument("--held-hours", type=float, default=24.0, metavar="H", help="kept while nothing takes it")
    planning.add_argument("--retention-days", type=int, default=400, metavar="D")
    planning.add_argument(
        "--store", default="/var/lib/nats", metavar="DIR", help="of a node; {name} stands for its own"
    )
    planning.add_argument(
        "--tls",
        default="/etc/nats/tls",
        metavar="DIR",
        help="of a node, for what `pumpwatch ca issue-node` makes",
    )
    usual = Ports()
    planning.add_argument("--mqtt-port", type=int, default=usual.mqtt, metavar="PORT")
    planning.add_argument("--nats-port", type=int, default=usual.nats, metavar="PORT")
    planning.add_argument("--routes-port", type=int, default=usual.routes, metavar="PORT")
    planning.add_argument("--monitoring-port", type=int, default=usual.monitoring, metavar="PORT")
    planning.add_argument("--to", type=Path, metavar="DIR", help="write the files there instead of printing them")
    planning.set_defaults(run=run_plan)
    limiting = actions.add_parser("limit", help="bound what the brokers hold: beyond it pumps are refused")
    limiting.add_argument("--nats", required=True, metavar="URL", help="nats://user:password@host:port of a node")
    limiting.add_argument("--max-bytes", type=int, required=True, metavar="N", help="as the plan says")
    limiting.set_defaults(run=run_limit)
    listing = actions.add_parser("shards", help="say which ingester has which shards, and whether they are caught up")
    listing.set_defaults(run=run_shards)
    moving = actions.add_parser("move", help="let an ingester have shards, rather than whoever has room")
    moving.add_argument("shards", metavar="SHARDS", help="as 3, 0-20 or 0-20,33")
    moving.add_argument("--to", required=True, metavar="INSTANCE", help="or `anyone`: undo it")
    moving.set_defaults(run=run_move)
    for action in (listing, moving):
        add_database_url(action)


def run_plan(arguments: argparse.Namespace) -> int:
    hosts = arguments.node or ["nats-1", "nats-2", "nats-3"]
    wanted = Wanted(
        nodes=tuple(Node(f"nats-{number}", host) for number, host in enumerate(hosts, start=1)),
        ingesters=arguments.ingesters,
        pumps=arguments.pumps,
        interval_s=arguments.interval,
        held_h=arguments.held_hours,
        retention_d=arguments.retention_days,
        ports=Ports(arguments.mqtt_port, arguments.nats_port, arguments.routes_port, arguments.monitoring_port),
        store=arguments.store,
        tls=arguments.tls,
    )
    if wrong := problems(wanted):
        print("\n".join(wrong), file=sys.stderr)
        return EXIT_USAGE
    named = files(plan(wanted))
    if arguments.to is None:
        print("\n".join(f"--- {name}\n{text}" for name, text in named.items()), end="")
        return EXIT_OK
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, text in named.items():
        (arguments.to / name).write_text(text, encoding="utf-8")
    print(named["plan.txt"], end="")
    return EXIT_OK


def run_shards(arguments: argparse.Namespace) -> int:
    rows = with_database(settings_of(arguments), owners)
    for row in rows:
        seen = "" if row["seen_s_ago"] is None else f", seen {row['seen_s_ago']:.0f} s ago"
        pinned = f", of them wanted there: {ranges_of(row['pinned'])}" if row["pinned"] else ""
        shards = f"{ranges_of(row['shards']) or 'none'} ({row['caught_up']} of {len(row['shards'])} caught up)"
        print(f"{row['instance'] or 'nobody'}: {shards}{pinned}{seen}")
    whole = all(row["caught_up"] == len(row["shards"]) for row in rows)
    return EXIT_OK if rows and whole else EXIT_PROBLEMS


def run_move(arguments: argparse.Namespace) -> int:
    try:
        shards = parse_shards(arguments.shards)
    except ValueError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    instance = None if arguments.to == "anyone" else arguments.to

    async def write(connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            moved = await want(connection, shards, instance)
            await audit(connection, actor(), "shards_moved", ranges_of(shards), {"to": instance})
        return moved

    try:
        moved = with_database(settings_of(arguments), write)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return EXIT_PROBLEMS
    print(f"{moved} shards go to {arguments.to}; `pumpwatch cluster shards` says when they are there")
    return EXIT_OK


def run_limit(arguments: argparse.Namespace) -> int:
    if urlsplit(arguments.nats).scheme != "nats" or arguments.max_bytes < 1:
        print("--nats must be nats://user:password@host:port, and --max-bytes more than nothing", file=sys.stderr)
        return EXIT_USAGE
    try:
        held = limit_stream(arguments.nats, arguments.max_bytes)
    except OSError as error:
        print(f"{urlsplit(arguments.nats).hostname}: {error}", file=sys.stderr)
        return EXIT_PROBLEMS
    config, state = held["config"], held["state"]
    print(
        f"{config['name']}: at most {config['max_bytes']} bytes, {state['bytes']} held; beyond that pumps are refused"
    )
    return EXIT_OK
