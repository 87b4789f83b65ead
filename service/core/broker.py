"""What does a broker say of itself that must not be? Counters that rise, and levels that are nearly reached."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from service.core.change import Condition

NEARLY_FULL: Final = 0.8
MQTT_STREAM: Final = "$MQTT_msgs"


class Report(NamedTuple):
    """`value`: a counter's, of which only a rise is told; None: it is so now, for `reason`."""

    what: str
    value: int | None
    reason: str
    condition: Condition = Condition.BROKER_DROPPING


def dropped(count: int) -> Report:
    return Report("dropped", count, "it has dropped messages for want of room")


def of_nats(jetstream: Mapping[str, Any]) -> list[Report]:
    """From /jsz with streams and their configuration."""
    found = []
    most = jetstream.get("config", {}).get("max_storage") or 0
    if most > 0 and (share := jetstream.get("storage", 0) / most) >= NEARLY_FULL:
        found.append(Report("store", None, f"its store is {share:.0%} full; then pumps get no PUBACK"))
    streams = [
        stream
        for account in jetstream.get("account_details") or ()
        for stream in account.get("stream_detail") or ()
        if stream["name"] == MQTT_STREAM
    ]
    for stream in streams:
        limits, held = stream.get("config", {}), stream.get("state", {})
        most = limits.get("max_bytes", -1)
        if most > 0 and (share := held.get("bytes", 0) / most) >= NEARLY_FULL:
            found.append(Report("stream", None, f"what it holds for the service is {share:.0%} of what it may"))
        limited = max(most, limits.get("max_msgs", -1), limits.get("max_age", 0)) > 0
        if limited and limits.get("discard") == "old":
            found.append(Report("discards", None, f"{MQTT_STREAM} discards the oldest messages, which are confirmed"))
    return found
