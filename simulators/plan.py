"""What is a run of the fleet asked for, and how did it go?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from simulators import wire
from simulators.blocks import ALONE, Shard
from simulators.broker import Broker
from simulators.labels import Label
from simulators.lanes import Connections
from simulators.profiles import Stage
from simulators.wire import Encoding

BOOTS_SINCE_MS: Final = 1_767_225_600_000  # 2026-01-01; a boot a minute lasts until 2033


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `pumpsim fleet` was asked for; docs/simulators.md says what each means."""

    broker: Broker
    pumps: int = 200
    seed: int = 7
    prefix: str = "p"
    backlog_hours: float = 24.0
    backlog_interval_s: float = 60.0
    readings_a_message: int = 60
    live_s: float = 60.0
    interval_s: float = 1.0
    speed: float = 0.0
    max_rate: float = 0.0
    faults: str = "demo"
    labels: Path | None = None
    registry: Path | None = None
    report: Path | None = None
    journal: Path | None = None
    encodings: tuple[Encoding, ...] = (Encoding.JSON,)
    connections: Connections = 4
    connects_a_second: float = 1000.0
    shard: Shard = ALONE
    memory_readings: int = 20_000
    drain_s: float = 15.0
    boot: int | None = None
    start_ms: int | None = None
    wait_for: str | None = None
    control: Path | None = None
    api: str | None = None
    token_file: Path | None = None
    stages: tuple[Stage, ...] = ()  # what the live part consists of; none: `live_s` at `interval_s`
    backlog_pumps: int | None = None  # only the first of them have a backlog; None: all


class Report(msgspec.Struct, kw_only=True):
    """How the run went."""

    pumps: int
    seed: int
    boot: int
    start_ms: int
    live_from_ms: int
    live_began_ms: int | None
    ended_ms: int
    tally: dict[str, int]
    took_s: float
    held_items: int  # of pumps within reach, without a receipt at the end
    unreachable_items: int  # held by pumps that fell silent
    settle_latency_ms: dict[str, float]
    receipt_latency_ms: dict[str, float]
    injected: list[Label] = msgspec.field(default_factory=list)  # into the running fleet
    alerted: list[Any] = msgspec.field(default_factory=list)  # what the service then said of those pumps

    @property
    def is_complete(self) -> bool:
        return self.held_items == 0 and not self.tally["given_up_items"] and not self.tally["overwritten_items"]

    def lines(self) -> list[str]:
        """The report for a person."""
        tally = self.tally
        let_go = tally["given_up_items"] + tally["overwritten_items"]
        return [
            f"{self.pumps} pumps: {tally['measured_readings']:,} readings and {tally['measured_events']:,} events",
            f"{tally['messages']:,} messages, {tally['resent']:,} sent again, {tally['disconnects']:,} disconnects",
            f"{tally['receipted_items']:,} items with receipt, {self.held_items:,} without, {let_go:,} let go",
        ]


def boot_at(start_ms: int) -> int:
    """A boot number that grows with the time at which a run begins."""
    return min(max((start_ms - BOOTS_SINCE_MS) // 60_000, 0) + 1, wire.MAX_BOOT)
