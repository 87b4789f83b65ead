"""What is each pump told that it may forget? Whoever listens hears it as the pumps would."""

import json

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


class Receipts:
    """The newest `through` that each pump was told."""

    def __init__(self, url: str) -> None:
        self.through: dict[str, int] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.on_message = self._hear
        self.subscribed = False
        self._client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self._client.on_connect = lambda *_: self._client.subscribe("receipts/v1/+")
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()

    def _hear(self, _client: Client, _userdata: object, heard: MQTTMessage) -> None:
        self.through[heard.topic.removeprefix("receipts/v1/")] = json.loads(heard.payload)["through"]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
