"""`pumpwatch up`: the whole service on this machine, against a broker and a database by URL."""

import argparse
import asyncio

from service import logs
from service.settings import load
from service.supervise import Supervisor


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("up", help="migrate, then run ingest, watch, deliver and api until told to end")
    parser.add_argument("--database-url", metavar="URL", help="instead of PUMPWATCH_DATABASE_URL")
    parser.add_argument("--broker-url", metavar="URL", help="instead of PUMPWATCH_BROKER_URL")
    parser.add_argument("--api-host", metavar="HOST", help="instead of PUMPWATCH_API_HOST")
    parser.add_argument("--api-port", metavar="PORT", help="instead of PUMPWATCH_API_PORT; 0: any free one")
    parser.add_argument("--rulebook", metavar="FILE", help="instead of PUMPWATCH_RULEBOOK")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = load(
        database_url=arguments.database_url,
        broker_url=arguments.broker_url,
        api_host=arguments.api_host,
        api_port=arguments.api_port,
        rulebook=arguments.rulebook,
    )
    logs.configure("up", settings.log_level, settings.log_format)
    return asyncio.run(Supervisor(settings).run(lambda line: print(line, flush=True)))
