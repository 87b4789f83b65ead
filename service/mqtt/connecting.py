"""How do we get from a broker's URL to a connected socket, without stopping the event loop?"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from service.mqtt.credentials import Credentials, CredentialsError


@dataclass(frozen=True, slots=True)
class Broker:
    host: str
    port: int
    tls: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    credentials: Credentials | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Without credentials: the system's authorities; SSL_CERT_FILE names others. Raises CredentialsError."""
        return ssl.create_default_context() if self.credentials is None else self.credentials.context()

    def __str__(self) -> str:
        return f"broker {self.host}:{self.port}"


def broker_of(url: str, credentials: Credentials | None = None) -> Broker:
    """Parse mqtt://[user[:password]@]host[:port] or mqtts://…; ValueError says what is wrong, without the password."""
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise ValueError("a broker's URL begins with mqtt:// or mqtts:// and names a host")
    tls = parts.scheme == "mqtts"
    return Broker(
        parts.hostname,
        parts.port or (8883 if tls else 1883),
        tls,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        credentials,
    )


def brokers_of(url: str, credentials: Credentials | None = None) -> list[Broker]:
    """Likewise, of the nodes of a cluster: mqtt://[user[:password]@]host[:port],host[:port],…"""
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    each = (urlunsplit(parts._replace(netloc=f"{account}{at}{host}")) for host in hosts.split(","))
    return [broker_of(one, credentials) for one in each]


def check_topic_filter(topic_filter: str) -> str:
    """Return it; ValueError if no broker would take it, since some then only close the connection."""
    levels = topic_filter.split("/")
    misplaced = any("#" in level for level in levels[:-1]) or any(
        wildcard in level and level != wildcard for level in levels for wildcard in "+#"
    )
    if not topic_filter or "\0" in topic_filter or misplaced:
        raise ValueError(f"{topic_filter!r} is no topic filter: + stands for a whole level, # for all the last ones")
    return topic_filter


async def connect(broker: Broker) -> socket.socket:
    """Return a non-blocking socket, after the TLS handshake if the broker wants one. OSError if none is to be had."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(broker.host, broker.port, type=socket.SOCK_STREAM)
    failure = OSError("no address")
    for family, kind, protocol, _, address in addresses:
        connected = socket.socket(family, kind, protocol)
        try:
            connected.setblocking(False)  # noqa: FBT003 - as the standard library has it
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connected, address)
            return await _shake_hands(connected, broker) if broker.tls else connected
        except OSError as error:
            connected.close()
            failure = error
        except BaseException:
            connected.close()
            raise
    raise failure


async def _shake_hands(connected: socket.socket, broker: Broker) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    context = broker.tls_context()
    shaken = context.wrap_socket(connected, server_hostname=broker.host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                shaken.do_handshake()
            except ssl.SSLWantReadError:
                await _once(loop.add_reader, loop.remove_reader, shaken)
            except ssl.SSLWantWriteError:
                await _once(loop.add_writer, loop.remove_writer, shaken)
            else:
                return shaken
    except BaseException:
        shaken.close()
        raise


async def _once(
    add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool], ready: socket.socket
) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    number = ready.fileno()
    add(number, lambda: None if waiting.done() else waiting.set_result(None))
    try:
        await waiting
    finally:
        remove(number)


def why(error: BaseException) -> str:
    """One line for a failure to connect, without addresses or secrets in it."""
    match error:
        case CredentialsError():
            return str(error)
        case ssl.SSLCertVerificationError():
            said = f"certificate not accepted: {error.verify_message}"
        case ssl.SSLError():
            said = f"TLS failed: {(error.reason or 'handshake').lower().replace('_', ' ')}"
        case TimeoutError():
            said = "no answer"
        case socket.gaierror():
            said = "host name not known"
        case OSError(errno=int(number)) if number:
            said = os.strerror(number).lower()
        case _:
            said = type(error).__name__
    return said
