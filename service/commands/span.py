"""Which span of time is asked for? `--from` is included, `--to` is not; without them, all there is."""

import argparse
from datetime import UTC, datetime


def add_span(parser: argparse.ArgumentParser) -> None:
    said = "measured {} this; UTC where no zone is named: 2026-11-22T20:00:00Z"
    parser.add_argument("--from", dest="since", type=moment, metavar="TIME", help=said.format("at or after"))
    parser.add_argument("--to", dest="until", type=moment, metavar="TIME", help=said.format("before"))


def moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: not a time, as 2026-11-22T20:00:00Z is one") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def wrong(arguments: argparse.Namespace) -> str:
    """What is wrong with the span; empty if nothing is."""
    if arguments.since and arguments.until and arguments.since >= arguments.until:
        return "--to must be later than --from"
    return ""
