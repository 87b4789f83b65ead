"""What does the person at the terminal see? A live table; plain lines where the output is not a terminal."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from service.demo.judge import Raised, Told

ROWS = 14
PLAIN_EVERY_S = 5.0
PRIORITY_STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan"}


@dataclass
class Seen:
    """What was seen last."""

    pumps: int = 0
    progress: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    readings_per_s: float = 0.0
    alerts: list[Raised] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


class Board:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
        self._started_at = time.monotonic()
        self._printed_at = 0.0
        self._shown: set[str] = set()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(f"[dim]{self.elapsed_s:6.1f} s[/dim]  {line}", highlight=False, soft_wrap=True)

    def open(self) -> None:
        if self._live:
            self._live.start()

    def close(self) -> None:
        if self._live:
            self._live.stop()

    def show(self, seen: Seen) -> None:
        if self._live:
            self._live.update(_whole(seen))
        else:
            self._show_plainly(seen)

    def _show_plainly(self, seen: Seen) -> None:
        received = {told.alert_id: told for told in seen.told if told.kind == "alert.activated"}
        for alert in sorted(seen.alerts, key=lambda each: each.raised_ms):
            if f"raised {alert.alert_id}" not in self._shown:
                self._shown.add(f"raised {alert.alert_id}")
                late = " (found late)" if alert.found_late else ""
                self.say(f"alert     {alert.pump_id}  {alert.condition}, {alert.priority}{late}")
            if alert.alert_id in received and f"told {alert.alert_id}" not in self._shown:
                self._shown.add(f"told {alert.alert_id}")
                self.say(f"told      {alert.pump_id}  {alert.condition}: the clinic verified the webhook")
        if self.elapsed_s - self._printed_at >= PLAIN_EVERY_S:
            self._printed_at = self.elapsed_s
            self.say(_fleet_line(seen))


def _fleet_line(seen: Seen) -> str:
    readings, messages = seen.counts.get("readings", 0), seen.counts.get("messages", 0)
    return (
        f"{seen.progress} · {seen.pumps} pumps · {readings:,} readings stored in {messages:,} messages"
        f" · {seen.readings_per_s:,.0f} readings/s"
    )


def _whole(seen: Seen) -> Group:
    return Group(
        Panel(_fleet(seen), title="pumpwatch · simulation, not for clinical use", title_align="left"),
        _alerts(seen),
        Text(_deliveries_line(seen), style="dim"),
    )


def _fleet(seen: Seen) -> Text:
    counts = seen.counts
    return Text(
        f"{_fleet_line(seen)}\n"
        f"receipts {counts.get('receipts', 0):,} · duplicates {counts.get('duplicates', 0):,}"
        f" · quarantined {counts.get('quarantined', 0):,}"
    )


def _alerts(seen: Seen) -> Table:
    received = {told.alert_id: told for told in seen.told if told.kind == "alert.activated"}
    conditions = {alert.alert_id: alert.condition for alert in seen.alerts}
    table = Table(title=f"Alerts ({len(seen.alerts)}), the newest first", title_justify="left", box=SIMPLE_HEAD)
    for column in ("raised (UTC)", "pump", "condition", "priority", "state", "clinic told"):
        table.add_column(column, no_wrap=True)
    for alert in seen.alerts[:ROWS]:
        told = received.get(alert.alert_id)
        heard = f"verified after {max(0, told.received_ms - alert.raised_ms) / 1000:.2f} s" if told else ""
        if alert.told_by in conditions:
            heard = f"with {conditions[alert.told_by]}"
        table.add_row(
            datetime.fromtimestamp(alert.raised_ms / 1000, UTC).strftime("%H:%M:%S"),
            alert.pump_id,
            alert.condition,
            Text(alert.priority, style=PRIORITY_STYLES.get(alert.priority, "")),
            f"{alert.state}, found late" if alert.found_late else alert.state,
            heard,
        )
    return table


def _deliveries_line(seen: Seen) -> str:
    kinds: dict[str, int] = {}
    for told in seen.told:
        kinds[told.kind] = kinds.get(told.kind, 0) + 1
    told_by_kind = ", ".join(f"{number} {kind.removeprefix('alert.')}" for kind, number in sorted(kinds.items()))
    return (
        f"Webhooks verified by the clinic: {told_by_kind or 'none yet'} · attempts {seen.counts.get('attempts', 0):,}"
    )
