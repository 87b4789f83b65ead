"""How is NATS told how much its MQTT stream may hold? By its own protocol: a request over a connection of its own."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

ANSWERS_WITHIN_S: Final = 10.0
STREAM: Final = "$MQTT_msgs"
_INBOX: Final = "_INBOX.pumpwatch.limit"


class RefusedByNatsError(OSError):
    """It answers, and does not do it. The text says why."""


def limit_stream(url: str, max_bytes: int) -> Mapping[str, Any]:
    """Let the stream refuse what is beyond `max_bytes`, rather than forget what it has confirmed; return what it holds.

    Raises OSError.
    """
    with _connected(url) as wire:
        config = _ask(wire, f"$JS.API.STREAM.INFO.{STREAM}", {})["config"]
        return _ask(wire, f"$JS.API.STREAM.UPDATE.{STREAM}", {**config, "max_bytes": max_bytes, "discard": "new"})


@contextmanager
def _connected(url: str) -> Iterator[BinaryIO]:
    parts = urlsplit(url)
    options: dict[str, Any] = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "protocol": 1}
    if parts.username is not None:
        options |= {"user": unquote(parts.username), "pass": unquote(parts.password or "")}
    with (
        socket.create_connection((parts.hostname or "", parts.port or 4222), ANSWERS_WITHIN_S) as connected,
        connected.makefile("rwb", buffering=0) as raw,
    ):
        wire: Any = raw
        wire.readline()  # INFO
        wire.write(b"CONNECT %s\r\nSUB %s 1\r\n" % (json.dumps(options).encode(), _INBOX.encode()))
        yield wire


def _ask(wire: BinaryIO, subject: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
    body = json.dumps(question).encode()
    wire.write(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), _INBOX.encode(), len(body), body))
    while line := wire.readline():
        if line.startswith(b"PING"):
            wire.write(b"PONG\r\n")
        elif line.startswith(b"-ERR"):
            raise RefusedByNatsError(line[4:].decode(errors="replace").strip())
        elif line.startswith(b"MSG"):
            left, received = int(line.split()[-1]) + 2, b""
            while len(received) < left:
                received += wire.read(left - len(received)) or b""
            answer: Mapping[str, Any] = json.loads(received)
            if "error" in answer:
                raise RefusedByNatsError(str(answer["error"].get("description")))
            return answer
    raise RefusedByNatsError("it closed the connection")
