"""Inboxes for tests, and how a test waits for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from service.metrics import Metrics
from service.mqtt.inbox import MqttInbox
from service.ports import RawMessage
from tests.mqtt.publisher import packet, read_packet, text
from tests.servers import eventually


@asynccontextmanager
async def inbox_at(
    url: str, root: str, *, client_id: str = "", wait: bool = True, **options: Any
) -> AsyncIterator[MqttInbox]:
    """An inbox for `root`/#, connected unless `wait` is false; at the end it drops the connection as a crash would."""
    inbox = MqttInbox(
        url,
        client_id or f"ingest-{token_hex(6)}",
        [f"{root}/#"],
        marker_topic=f"marker/{root}",
        clock=lambda: datetime.now(UTC),
        metrics=Metrics(CollectorRegistry()),
        **options,
    )
    await inbox.start()
    try:
        if wait:
            await connected(inbox)
        yield inbox
    finally:
        await inbox.close(graceful=False)


async def connected(inbox: MqttInbox, connection: int = 1) -> None:
    await eventually(lambda: not inbox.problem and inbox.connection >= connection)


async def drained(inbox: MqttInbox, enough: Callable[[list[RawMessage]], bool]) -> list[RawMessage]:
    """Drain until the messages are enough."""
    messages: list[RawMessage] = []
    async with asyncio.timeout(120):
        while not enough(messages):
            messages += await inbox.drain(5000, 1.0)
    return messages


async def drain_count(inbox: MqttInbox, count: int) -> list[RawMessage]:
    messages = await drained(inbox, lambda so_far: len(so_far) >= count)
    assert len(messages) == count
    return messages


def counted(inbox: MqttInbox, name: str, **labels: str) -> float:
    return inbox._metrics.registry.get_sample_value(f"pumpwatch_{name}_total", labels) or 0.0


async def take_over(url: str, client_id: str) -> None:
    """Connect under another's client id, which costs it its connection, and go."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(packet(0x10, b"\x00\x04MQTT\x04\x00\x00\x3c" + text(client_id.encode())))
    assert (await read_packet(reader))[0] == 0x20
    writer.close()
    await writer.wait_closed()
