"""What does a pump, or a person at it, say between two readings? In true time; the pump's own clock may be off."""

from typing import NamedTuple


class Said(NamedTuple):
    """`fields` are the further keys of the event's type (docs/interface.md)."""

    pump: int
    at_ms: int
    type: str
    fields: dict[str, object]
