"""What may be given on the command line? Types of arguments, each refused with one line that says what is right."""

import argparse
import math
import re
import sys
from pathlib import Path
from typing import Final

from simulators.blocks import ALONE, Shard
from simulators.broker import Broker, broker_of
from simulators.cast import parts_of
from simulators.lanes import Connections
from simulators.wire import MAX_BOOT, MAX_READINGS_A_MESSAGE, Encoding

EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE = 0, 1, 2
ENCODINGS: Final = {
    "json": (Encoding.JSON,),
    "msgpack": (Encoding.MSGPACK,),
    "both": (Encoding.JSON, Encoding.MSGPACK),
}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(s|min|m|h|d)")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def refuse(problem: str) -> int:
    print(f"pumpsim: {problem}", file=sys.stderr)
    return EXIT_USAGE


def broker(text: str) -> Broker:
    try:
        return broker_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def faults(text: str) -> str:
    try:
        parts_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def prefix(text: str) -> str:
    if not 0 < len(text) <= 32 or not all(each.isascii() and (each.isalnum() or each in "_-") for each in text):
        raise argparse.ArgumentTypeError("must be 1 to 32 of A-Z a-z 0-9 _ -")
    return text


def from_zero(text: str) -> float:
    return _within(text, 0.0, 1e9)


def spacing(text: str) -> float:
    return _within(text, 0.001, 86_400.0)


def count(text: str) -> int:
    return int(_within(text, 1, 1e14))


def whole(text: str) -> int:
    return int(_within(text, 0, 1e6))


def readings(text: str) -> int:
    return int(_within(text, 1, MAX_READINGS_A_MESSAGE))


def boot(text: str) -> int:
    return int(_within(text, 0, MAX_BOOT))


def port(text: str) -> int:
    return int(_within(text, 0, 65535))


def number(text: str) -> float:
    return _within(text, -1e9, 1e9)


def _within(text: str, low: float, high: float) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not low <= found <= high:
        raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}")
    return found


def add_pumps(parser: argparse.ArgumentParser, *, interval_s: float) -> None:
    parser.add_argument("--pumps", type=count, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--prefix", type=prefix, default="p", help="of the pumps' ids")
    parser.add_argument("--interval", type=spacing, default=interval_s, metavar="S", help="between two readings")
    parser.add_argument("--start-ms", type=count, metavar="MS", help="when the first span begins")


def connections(text: str) -> Connections:
    if text == "pump":
        return "pump"
    return "site" if text == "site" else count(text)


def shard(text: str) -> Shard:
    number, _, of = text.partition("/")
    if not number.isdecimal() or not of.isdecimal() or not 1 <= int(number) <= int(of) <= 1000:
        raise argparse.ArgumentTypeError("must be K/N, as 1/2 and 2/2")
    return Shard(int(number), int(of))


def span_ms(text: str) -> int:
    """A length of time as people write it: 90s, 45m, 2h, 3d."""
    found = _SPAN.fullmatch(text)
    if found is None or not 0 < float(found[1]) * _SECONDS[found[2]] <= 1e8:
        raise argparse.ArgumentTypeError("must be a length of time: 90s, 45m, 2h, 3d")
    return round(float(found[1]) * _SECONDS[found[2]] * 1000)


def add_publishing(parser: argparse.ArgumentParser) -> None:
    """What every command takes that publishes."""
    parser.add_argument(
        "--broker", type=broker, required=True, metavar="URL", help="mqtt://host:port or mqtts://…, on loopback"
    )
    parser.add_argument("--allow-remote", action="store_true", help="allow a broker that is not on loopback")
    parser.add_argument(
        "--connections", type=connections, default=4, metavar="N", help="a number, site (one each) or pump (one each)"
    )
    parser.add_argument("--connects-a-second", type=from_zero, default=1000.0, metavar="N", help="0: all at once")
    parser.add_argument("--shard", type=shard, default=ALONE, metavar="K/N", help="this process's share of the fleet")
    parser.add_argument(
        "--tls-dir", type=Path, metavar="DIR", help="ca.crt and each pump's ID.pem and ID.key; needs --connections pump"
    )
    parser.add_argument("--encoding", choices=ENCODINGS, default="json")
    parser.add_argument("--memory-readings", type=count, default=20_000, metavar="N", help="what one pump can hold")
    parser.add_argument("--drain-s", type=from_zero, default=15.0, metavar="S", help="how long to wait for receipts")
    parser.add_argument("--boot", type=boot, help="default: the minutes from 2026 to the start")
    parser.add_argument("--wait-for", metavar="URL", help="wait until this answers 200")
    parser.add_argument("--control", type=Path, metavar="DIR", help="where to listen for `pumpsim inject`")
    parser.add_argument("--api", metavar="URL", help="of the service: what it alerted of the pumps with a fault")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds a token of the API")
