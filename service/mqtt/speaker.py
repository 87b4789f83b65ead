"""How does the service speak as a pump does, and hear what the broker says of itself? A plain client on a thread."""

from types import TracebackType
from typing import Any, Final, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from service.mqtt.connecting import brokers_of
from service.mqtt.credentials import Credentials

DROPPED_TOPIC: Final = "$SYS/broker/publish/messages/dropped"
"""Mosquitto's counter, and that of others who follow it; nothing comes where a broker has none."""
MOST_WAITING: Final = 100
RETRY_AT_MOST_S: Final = 10


class Speaker:
    """What is published waits for the broker, as in a pump's memory; the oldest are kept, and not many."""

    def __init__(
        self,
        broker_url: str,
        client_id: str,
        *,
        hears_of_broker: bool = False,
        credentials: Credentials | None = None,
    ) -> None:
        self._brokers = brokers_of(broker_url, credentials)
        self._broker = self._brokers[0]
        self._tries = 0
        self._hears_of_broker = hears_of_broker
        self.dropped: int | None = None
        """How many messages the broker says it has dropped since it was started; None: it has not said."""
        client = self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True, protocol=MQTTProtocolVersion.MQTTv311
        )
        client.suppress_exceptions = True
        client.max_queued_messages_set(MOST_WAITING)
        client.reconnect_delay_set(1, RETRY_AT_MOST_S)
        client.username_pw_set(self._broker.username, self._broker.password)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_disconnect = client.on_connect_fail = self._go_to_the_next

    async def __aenter__(self) -> Self:
        if self._broker.tls:
            self._client.tls_set_context(self._broker.tls_context())
        self._client.connect_async(self._broker.host, self._broker.port)
        self._client.loop_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        return self._client.is_connected()

    def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 1, at once or when there is a connection."""
        self._client.publish(topic, payload, qos=1)

    def _on_connect(self, client: Client, _userdata: Any, _flags: Any, reason_code: Any, _properties: Any) -> None:
        if self._hears_of_broker and not reason_code.is_failure:
            client.subscribe(DROPPED_TOPIC)

    def _go_to_the_next(self, client: Client, *_: Any) -> None:
        """Of a cluster's nodes another one may be there; of one broker it is the same."""
        self._tries += 1
        broker = self._brokers[self._tries % len(self._brokers)]
        if len(self._brokers) > 1:
            client.connect_async(broker.host, broker.port)

    def _on_message(self, _client: Client, _userdata: Any, message: Any) -> None:
        if message.topic == DROPPED_TOPIC and message.payload.isdigit():
            self.dropped = int(message.payload)
