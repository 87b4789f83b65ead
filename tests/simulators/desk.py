"""A service small enough to be sure of: it keeps what it receives and gives receipts as the interface says."""

import json
import threading
import time
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

import msgspec
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

SEQ_BITS = 40


class Desk:
    """Subscribes with a session that outlives connections. It never hears of what is in `lose_once`, the first time."""

    def __init__(self, broker_url: str, name: str, *, topics: str = "pumps/v1/+/+") -> None:
        self.kept: dict[str, dict[int, Any]] = defaultdict(dict)  # by pump, by position: (message, index)
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.received_ms: list[int] = []  # of each message
        self.statuses: dict[str, bool] = {}
        self.duplicates = 0
        self.lose_once: set[tuple[str, int]] = set()  # (pump id, seq)
        self._held_from: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        broker = urlsplit(broker_url)
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self.subscribed = threading.Event()

        def on_connect(client: Client, _u: Any, _f: ConnectFlags, _r: ReasonCode, _p: Properties | None) -> None:
            client.subscribe(topics, qos=1)

        def on_subscribe(*_: Any) -> None:
            self.subscribed.set()

        self._client.on_connect = on_connect
        self._client.on_subscribe = on_subscribe
        self._client.connect_async(broker.hostname or "", broker.port or 1883)
        self._client.loop_start()
        self._receipts = threading.Thread(target=self._give_receipts)
        self._receipts.start()

    def close(self) -> None:
        self._stop.set()
        self._receipts.join()
        self._client.disconnect()
        self._client.loop_stop()

    def through(self, pump_id: str, boot: int) -> int:
        """The last seq of the boot up to which nothing is missing that the pump still holds; -1: nothing."""
        positions = self.kept[pump_id]
        seq = max((self._held_from.get(pump_id, 0) & ((1 << SEQ_BITS) - 1)) - 1, -1)
        while (boot << SEQ_BITS | seq + 1) in positions:
            seq += 1
        return seq

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        _, _, pump_id, kind = message.topic.split("/")
        decode = json.loads if message.payload[:1] == b"{" else msgspec.msgpack.decode
        payload = decode(message.payload)
        with self._lock:
            if kind == "status":
                self.statuses[pump_id] = payload["online"]
                return
            if (pump_id, payload["seq"]) in self.lose_once:
                self.lose_once.remove((pump_id, payload["seq"]))
                return
            self.messages.append((pump_id, payload))
            self.received_ms.append(time.time_ns() // 1_000_000)
            count = len(payload["time_ms"]) if kind == "telemetry" else 1
            held_boot, held_seq = payload["held_from"]
            held_from = held_boot << SEQ_BITS | held_seq
            self._held_from[pump_id] = max(held_from, self._held_from.get(pump_id, 0))
            for index in range(count):
                position = payload["boot"] << SEQ_BITS | payload["seq"] + index
                self.duplicates += position in self.kept[pump_id]
                self.kept[pump_id].setdefault(position, (payload, index))

    def _give_receipts(self) -> None:
        given: dict[str, tuple[int, float]] = {}
        while not self._stop.wait(0.1):
            with self._lock:
                receipts = {
                    pump_id: (boot, self.through(pump_id, boot))
                    for pump_id in list(self.kept)
                    for boot in [max(self.kept[pump_id]) >> SEQ_BITS]
                }
            for pump_id, (boot, through) in receipts.items():
                last, at_s = given.get(pump_id, (-2, 0.0))
                if through >= 0 and (through != last or time.monotonic() - at_s > 1):
                    given[pump_id] = (through, time.monotonic())
                    self._client.publish(f"receipts/v1/{pump_id}", json.dumps({"boot": boot, "through": through}))
