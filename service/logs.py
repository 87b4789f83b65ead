"""How is a decision logged? One line each: event name first, past tense, then ids as fields; no secrets, no personal
data.
"""

import json
import logging
import math
import sys
from datetime import UTC, datetime
from typing import Any, Final

from service.core.change import Change
from service.core.lifecycle import AlertWritten
from service.core.reading import boot_of, seq_of

_ALWAYS: Final = frozenset({"time", "level", "logger", "event", "exception"})


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = " ".join(f"{name}={_value(value)}" for name, value in _fields(record).items())
        line = f"{_at(record)} {record.levelname.lower()} {record.name} {record.getMessage()} {told}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Objects(logging.Formatter):
    """The same, an object a line: what is always there comes first, and a field of that name is told as `field_…`."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"time": _at(record), "level": record.levelname.lower(), "logger": record.name}
        told["event"] = record.getMessage()
        told |= {_beside(name): _plain(value) for name, value in _fields(record).items()}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def _beside(name: str) -> str:
    return f"field_{name}" if name in _ALWAYS else name


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def _plain(value: object) -> Any:
    """Numbers stay numbers; what JSON does not know is written as its text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | None) else str(value)


def _value(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


def configure(role: str, level: str, form: str = "text") -> None:
    """Send this process's log to standard error, under the name of its role, as lines or `json`."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_Objects() if form == "json" else _Lines())
    logging.basicConfig(level=level.upper(), handlers=[lines], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs, which may hold secrets
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    logging.getLogger("pumpwatch").name = f"pumpwatch.{role}"


def tell_turn(change: Change, pump: str) -> None:
    """Log what the rules have found at a reading; `pump`, `boot` and `seq` are those of its message."""
    at: dict[str, Any] = {"pump": pump, "boot": boot_of(change.position), "seq": seq_of(change.position)}
    tell("condition_turned", **at, condition=change.condition, turn=change.turn, step=change.step)


def tell_alert(written: AlertWritten) -> None:
    """Log a change of an alert once it is committed. Its id stands in the lines of its notifications and in their
    bodies; `pump`, `boot` and `seq` are those of the message that changed it.
    """
    fields: dict[str, Any] = {"alert": written.alert_id, "subject": written.subject, "condition": written.condition}
    fields |= {"priority": written.priority, "state": written.state}
    kind, _, pump = written.subject.partition(":")
    if kind == "pump":
        fields |= {"pump": pump, "boot": boot_of(written.position), "seq": seq_of(written.position)}
    tell(f"alert_{written.event}", **fields)


def tell(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log one decision that changed something, e.g. `tell("alert_activated", alert=…, pump=…)`."""
    logging.getLogger("pumpwatch").log(level, event, extra={"fields": fields})
