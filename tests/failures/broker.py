"""What does NATS still hold for those who subscribed? Asked of its monitoring."""

import http.client
import json
from contextlib import closing
from typing import Any

from service.embedded.child import LOOPBACK
from service.embedded.nats import NatsServer


def unsettled(broker: NatsServer) -> int:
    """Messages that nobody has settled, delivered or not."""
    return sum(
        consumer["num_pending"] + consumer["num_ack_pending"]
        for account in _asked(broker, "/jsz?streams=1&consumers=1")["account_details"]
        for stream in account["stream_detail"]
        for consumer in stream.get("consumer_detail") or ()
        if stream["name"] == "$MQTT_msgs"
    )


def version(broker: NatsServer) -> str:
    return str(_asked(broker, "/varz")["version"])


def _asked(broker: NatsServer, path: str) -> Any:
    with closing(http.client.HTTPConnection(LOOPBACK, broker.monitoring_port, timeout=60)) as asked:
        asked.request("GET", path)
        return json.loads(asked.getresponse().read())
