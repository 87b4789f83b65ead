"""How is a decision logged? One line each: event name first, past tense, then ids as fields; no secrets, no personal
data.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: dict[str, Any] = getattr(record, "fields", {})
        told = " ".join(f"{name}={_value(value)}" for name, value in fields.items())
        line = f"{at} {record.levelname.lower()} {record.name} {record.getMessage()} {told}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _value(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


def configure(role: str, level: str) -> None:
    """Send this process's log to standard error, under the name of its role."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_Lines())
    logging.basicConfig(level=level.upper(), handlers=[lines], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs, which may hold secrets
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    logging.getLogger("pumpwatch").name = f"pumpwatch.{role}"


def tell(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log one decision that changed something, e.g. `tell("alert_activated", alert=…, pump=…)`."""
    logging.getLogger("pumpwatch").log(level, event, extra={"fields": fields})
