"""`pumpwatch ca`: who may say that it is which pump. Keys are written to files of their own and never shown."""

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from service.commands.arguments import days_up_to
from service.commands.output import table
from service.exits import EXIT_OK, EXIT_PROBLEMS
from service.identity import mosquitto, names, nats
from service.identity.authority import Authority, AuthorityError
from service.identity.brokers import Broker, write_configuration
from service.identity.cabinet import CERTIFICATE, KEY, Cabinet, Entry, now
from service.identity.names import Holder, Kind, NameRefusedError, Part

DIRECTORY: Final = Path(".pumpwatch/ca")
AUTHORITY_D, PUMP_D, SERVICE_D, SERVER_D = 3650, 730, 397, 397
BROKERS: Final[dict[str, Broker]] = {
    "nats": nats.FILES,
    "nats-by-shard": nats.FILES_BY_SHARD,
    "mosquitto": mosquitto.FILES,
}

_days = days_up_to(7320)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("ca", help="certificates of pumps, brokers and parts of the service")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, work: Callable[[argparse.Namespace], int], help_: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help_)
        made.add_argument("--dir", type=Path, default=DIRECTORY, metavar="DIR", help=f"of the authority ({DIRECTORY})")
        made.set_defaults(run=lambda arguments: _told(work, arguments))
        return made

    init = action("init", run_init, "make an authority; one that is there is never overwritten")
    init.add_argument("--name", default="pumpwatch authority", help="what its certificate is called")
    issue = action("issue", run_issue, "a certificate for a pump, with its key, or for the key of a request")
    issue.add_argument("pump", help="its id")
    issue.add_argument("--request", type=Path, metavar="FILE", help="a PKCS #10 request: the key stays with the pump")
    fleet = action("issue-fleet", run_issue_fleet, "certificates for all pumps of a file that have none that works")
    fleet.add_argument("file", type=Path, help="the CSV of `pumpwatch pumps import`, or an id a line")
    fleet.add_argument(
        "--renew-within", type=_days, metavar="DAYS", help="also for those whose certificate ends so soon"
    )
    server = action("issue-server", run_issue_server, "a certificate for a broker, a database or the API")
    server.add_argument("hosts", nargs="+", metavar="HOST", help="its names and addresses; the first names the files")
    node = action("issue-node", run_issue_node, "a certificate for a node of a cluster, by which the others know it")
    node.add_argument("hosts", nargs="+", metavar="HOST", help="as for `pumpwatch cluster plan`, the same first")
    part = action(
        "issue-service", run_issue_service, "a certificate for a part of the service that speaks to the broker"
    )
    part.add_argument("part", choices=list(Part), type=Part, help=", ".join(Part))
    part.add_argument("--name", default="", help="one of several of that part; default: as the part")
    of_pumps, of_hosts = ((issue, PUMP_D), (fleet, PUMP_D)), ((server, SERVER_D), (node, SERVER_D))
    for made, days in ((init, AUTHORITY_D), *of_pumps, *of_hosts, (part, SERVICE_D)):
        made.add_argument("--days", type=_days, default=days, help=f"how long it works ({days})")
    for made in (issue, server, node, part):
        made.add_argument(
            "--renew", action="store_true", help="although there is one that works, which goes on working"
        )
    for made in (issue, fleet, server, node, part):
        made.add_argument("--out", type=Path, metavar="DIR", help="where to; default: below the authority")
    revoke = action("revoke", run_revoke, "take back the certificates of a pump, a part, a server or a node")
    revoke.add_argument("name", help="the pump's id, or the name of a part, a server or a node")
    revoke.add_argument("--kind", choices=list(Kind), type=Kind, default=Kind.PUMP)
    revoke.add_argument(
        "--but-newest", action="store_true", help="the one that works the longest stays: after a renewal"
    )
    revoke.add_argument("--reason", default="", help="for the register")
    action("crl", run_crl, "sign the list of what is taken back anew: it counts for 30 days")
    listing = action("list", run_list, "say what was issued, to whom and until when")
    listing.add_argument("--within", type=_days, metavar="DAYS", help="only what ends so soon, or has ended")
    listing.add_argument("--all", action="store_true", help="also what was taken back or has ended")
    broker = action("broker", run_broker, "write a broker's configuration: who may say and hear what")
    broker.add_argument(
        "broker", choices=list(BROKERS), help="by shard: for a cluster, with its mapping (docs/scaling.md)"
    )
    broker.add_argument("--out", type=Path, required=True, metavar="DIR")
    broker.add_argument("--server", required=True, metavar="HOST", help="the name that its certificate was issued for")
    broker.add_argument("--at", type=Path, metavar="DIR", help="where the broker will find these files; default: there")
    broker.add_argument("--port", type=int, default=8883, help="for MQTT over TLS (8883)")


def _told(work: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return work(arguments)
    except (AuthorityError, NameRefusedError) as error:
        print(error, file=sys.stderr)
        return EXIT_PROBLEMS


def run_init(arguments: argparse.Namespace) -> int:
    at = now()
    Cabinet(arguments.dir).begin(Authority.new(arguments.name, at, timedelta(days=arguments.days)), at)
    print(f"{arguments.dir / CERTIFICATE}: what everybody verifies by")
    print(f"{arguments.dir / KEY} signs: keep a copy of it where this machine's is not", file=sys.stderr)
    return EXIT_OK


def run_issue(arguments: argparse.Namespace) -> int:
    request = None if arguments.request is None else arguments.request.read_bytes()
    return _issue_one(arguments, names.pump(arguments.pump), request=request)


def run_issue_server(arguments: argparse.Namespace) -> int:
    hosts = [names.server(host).name for host in arguments.hosts]
    return _issue_one(arguments, names.server(hosts[0]), hosts=hosts)


def run_issue_node(arguments: argparse.Namespace) -> int:
    hosts = [names.node(host).name for host in arguments.hosts]
    return _issue_one(arguments, names.node(hosts[0]), hosts=hosts)


def run_issue_service(arguments: argparse.Namespace) -> int:
    return _issue_one(arguments, names.part_named(arguments.part, arguments.name))


def _issue_one(
    arguments: argparse.Namespace, holder: Holder, *, hosts: Sequence[str] = (), request: bytes | None = None
) -> int:
    at, cabinet = now(), Cabinet(arguments.dir)
    with cabinet.opened() as authority:
        working = cabinet.working(holder, at)
        if working is not None and not arguments.renew:
            print(
                f"{holder} has a certificate until {working.not_after:%Y-%m-%d}; "
                "--renew issues another beside it, `pumpwatch ca revoke` ends it",
                file=sys.stderr,
            )
            return EXIT_PROBLEMS
        issued = authority.issue(holder, at, timedelta(days=arguments.days), hosts=hosts, request_pem=request)
        cabinet.keep([issued], at, arguments.out)
    place = arguments.out or cabinet.folder(holder.kind)
    print(f"{place}: certificate of {holder} until {issued.not_after:%Y-%m-%d}")
    _remind(holder.kind)
    return EXIT_OK


def run_issue_fleet(arguments: argparse.Namespace) -> int:
    holders = [names.pump(name) for name in _pump_ids(arguments.file)]
    at, cabinet = now(), Cabinet(arguments.dir)
    until = at + timedelta(days=arguments.renew_within or 0)
    with cabinet.opened() as authority:
        provided = {entry.holder for entry in cabinet.entries() if entry.works(at) and entry.not_after > until}
        wanted = [holder for holder in dict.fromkeys(holders) if holder not in provided]
        valid_for = timedelta(days=arguments.days)
        cabinet.keep([authority.issue(holder, at, valid_for) for holder in wanted], at, arguments.out)
    place = arguments.out or cabinet.folder(Kind.PUMP)
    print(f"{place}: {len(wanted)} certificates issued, {len(set(holders)) - len(wanted)} pumps had one")
    if wanted:
        _remind(Kind.PUMP)
    return EXIT_OK


def _pump_ids(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.reader(lines) if row and row[0].strip() and not row[0].startswith("#")]
    if rows and "pump_id" in rows[0]:
        column = rows[0].index("pump_id")
        return [row[column].strip() for row in rows[1:] if len(row) > column]
    return [row[0].strip() for row in rows]


def run_revoke(arguments: argparse.Namespace) -> int:
    at, cabinet = now(), Cabinet(arguments.dir)
    with cabinet.opened() as authority:
        entries = [
            entry
            for entry in cabinet.entries()
            if (entry.kind, entry.name) == (arguments.kind, arguments.name) and entry.works(at)
        ]
        entries.sort(key=lambda entry: (entry.not_after, entry.issued_at))
        if arguments.but_newest:
            entries = entries[:-1]
        if not entries:
            print(f"{arguments.kind} {arguments.name} has no certificate to take back", file=sys.stderr)
            return EXIT_PROBLEMS
        cabinet.revoke(entries, at, arguments.reason)
        file = cabinet.write_revocations(authority, at)
    print(f"{len(entries)} taken back; {file} says so")
    _remind(arguments.kind)
    if arguments.kind is Kind.NODE:
        print(
            "nodes read no list and go on taking it: if its key got out, they need a new authority and a new password "
            "of the routes (docs/security.md)",
            file=sys.stderr,
        )
    return EXIT_OK


def _remind(kind: Kind) -> None:
    if kind in {Kind.PUMP, Kind.PART}:
        print("the broker learns of it by `pumpwatch ca broker` and a reload", file=sys.stderr)


def run_crl(arguments: argparse.Namespace) -> int:
    cabinet = Cabinet(arguments.dir)
    with cabinet.opened() as authority:
        print(cabinet.write_revocations(authority, now()))
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    at = now()
    within = None if arguments.within is None else at + timedelta(days=arguments.within)
    shown = [
        entry
        for entry in Cabinet(arguments.dir).entries()
        if (arguments.all or entry.works(at) or (within is not None and entry.revoked_at is None))
        and (within is None or entry.not_after < within)
    ]
    header = ("KIND", "NAME", "UNTIL", "STATE", "SERIAL")
    print(table(header, [(each.kind, each.name, each.not_after, _state(each), each.serial) for each in shown]))
    return EXIT_OK


def _state(entry: Entry) -> str:
    if entry.revoked_at is not None:
        return f"revoked: {entry.reason}" if entry.reason else "revoked"
    return "works" if entry.works(now()) else "ended"


def run_broker(arguments: argparse.Namespace) -> int:
    at, cabinet = now(), Cabinet(arguments.dir)
    with cabinet.opened() as authority:
        cabinet.write_revocations(authority, at)
        for file in write_configuration(
            BROKERS[arguments.broker],
            cabinet,
            arguments.out,
            names.server(arguments.server),
            arguments.port,
            at,
            at=arguments.at,
        ):
            print(file)
    return EXIT_OK
