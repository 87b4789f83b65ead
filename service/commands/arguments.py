"""How does a command read what several of them take? argparse names the argument where this refuses."""

from datetime import datetime


def instant(text: str) -> datetime:
    """`2026-11-22T20:00:00Z`: a time without its zone is refused."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at
