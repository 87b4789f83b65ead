"""What would a run without any crash have found? `pumpwatch rules backtest` over what the fleet has measured."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.benchmarks.processes import ROOT
from tests.failures.checker import Finding
from tests.failures.said import Measured


class _Told(msgspec.Struct):
    readings: int
    rejected: int
    alerts: list[Finding]


async def findings(messages: Iterable[Measured], registry: Path, stream: Path) -> list[Finding]:
    """Judge `messages`, in the order in which they were measured; `stream` is written for it."""
    first: dict[str, tuple[int, int]] = {}
    with stream.open("wb") as file:
        for message in messages:
            held_from = first.setdefault(message.pump_id, (message.boot, message.seq))
            file.write(_line(message, held_from))
    command = [sys.executable, "-m", "service", "rules", "backtest", "--json", "--from", stream, "--registry", registry]
    ran = await asyncio.create_subprocess_exec(*map(str, command), stdin=DEVNULL, stdout=PIPE, cwd=ROOT)
    told, _ = await ran.communicate()
    assert ran.returncode == 0, "the backtest failed"
    found = msgspec.json.decode(told, type=_Told)
    assert found.rejected == 0
    return found.alerts


def _line(message: Measured, held_from: tuple[int, int]) -> bytes:
    kind = "event" if message.is_event else "telemetry"
    return b'{"topic":"pumps/v1/%b/%b","received_ms":%d,"payload":%b,"held_from":[%d,%d]}}\n' % (
        message.pump_id.encode(),
        kind.encode(),
        message.at_ms,
        message.payload[:-1],
        *held_from,
    )
