"""How fast can a broker be fed? A publisher that costs little: prebuilt QoS-1 packets, in windows, over a few sockets.

    python -m tests.benchmarks.blaster --url mqtt://127.0.0.1:1883 --count 100000 --connections 10 --window 500

Each message is one reading of one pump, valid telemetry with a dense `seq`. Loopback only, bounded in count and time.
"""

import argparse
import contextlib
import ipaddress
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import SplitResult, urlsplit

import numpy as np
import numpy.typing as npt

Packets = npt.NDArray[np.uint8]

PUBACK_BYTES = 4
MOST_IN_A_BLOCK = 2000
LOOK_EVERY_S = 0.002
PACED_LOOK_EVERY_S = 0.01
"""At a rate it is to cost little: what is due in this time is sent at once."""
READING_EVERY_MS = 60_000

# Every field has a fixed width, so that a block of packets is one array and each field a few of its columns.
# JSON allows spaces before a number, and no zeros.
TOPIC = b"pumps/v1/p##$$$$/telemetry"
PAYLOAD = (
    b'{"boot": BBBBBB, "seq": SSSS, "time_ms": [TUUUUVVVVWWWW], "mode": ["running"], "program_ml_d": [0.5], '
    b'"flow_ml_d": [0.FFFF], "reservoir_ml": [RR.MMM], "battery_v": [2.91], "held_from": [BBBBBB, 0], '
    b'"simulated": true}'
)


@dataclass(frozen=True, slots=True)
class Blast:
    """What came of it."""

    sent: int
    settled: int
    began_at: float  # time.monotonic() at the first PUBLISH
    elapsed_s: float
    cpu_s: float

    @property
    def messages_a_second(self) -> float:
        return self.settled / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def cpu_us_a_message(self) -> float:
        return self.cpu_s / self.sent * 1e6 if self.sent else 0.0


def _template(boot: int) -> bytes:
    payload = PAYLOAD.replace(b"BBBBBB", b"%6d" % boot)
    body = len(TOPIC).to_bytes(2, "big") + TOPIC + b"II" + payload
    return b"\x32" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body


def _four_digits(pad: bytes) -> Packets:
    digits = b"".join(b"%4d" % number for number in range(10_000)).replace(b" ", pad)
    return np.frombuffer(digits, np.uint8).reshape(-1, 4)


WITH_ZEROS, WITH_SPACES = _four_digits(b"0"), _four_digits(b" ")


def packets(
    first: int, count: int, *, pumps: npt.NDArray[np.int64], newest_seq: int, now_ms: int, boot: int
) -> Packets:
    """Build messages `first` to `first + count - 1` of a connection that serves `pumps` in turn, one packet a row."""
    template = _template(boot)
    number = np.arange(first, first + count, dtype=np.int64)
    seq, turn = np.divmod(number, len(pumps))
    pump = pumps[turn]
    block = np.tile(np.frombuffer(template, np.uint8), (count, 1))

    def write(placeholder: bytes, digits: Packets) -> None:
        at = template.index(placeholder)
        block[:, at : at + len(placeholder)] = digits

    time_ms = now_ms - (newest_seq - seq) * READING_EVERY_MS
    reservoir_ul = 18_000 - seq % 20_000 * 347 // 1000  # 0.5 mL/d, a minute a reading
    write(b"II", (number % 65535 + 1).astype(">u2").view(np.uint8).reshape(-1, 2))
    write(b"##", WITH_ZEROS[pump // 10_000][:, 2:])
    write(b"$$$$", WITH_ZEROS[pump % 10_000])
    write(b"SSSS", WITH_SPACES[seq])
    write(b"T", WITH_ZEROS[time_ms // 1_000_000_000_000][:, 3:])
    write(b"UUUU", WITH_ZEROS[time_ms // 100_000_000 % 10_000])
    write(b"VVVV", WITH_ZEROS[time_ms // 10_000 % 10_000])
    write(b"WWWW", WITH_ZEROS[time_ms % 10_000])
    write(b"FFFF", WITH_ZEROS[4950 + (pump * 79 + seq * 47) % 101])
    write(b"RR", WITH_SPACES[reservoir_ul // 1000][:, 2:])
    write(b"MMM", WITH_ZEROS[reservoir_ul % 1000][:, 1:])
    return block


class _Connection:
    def __init__(self, host: str, port: int, number: int, login: bytes, part: range) -> None:
        self.socket = socket.create_connection((host, port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"blaster-{number}-{time.monotonic_ns() % 1_000_000_007}".encode()
        flags = 0x02 | (0xC0 if login else 0)
        body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c" + len(name).to_bytes(2, "big") + name + login
        self.socket.sendall(b"\x10" + bytes([len(body)]) + body)
        answer = self.socket.recv(4, socket.MSG_WAITALL)
        if answer[:1] != b"\x20" or answer[3:] != b"\x00":
            raise ConnectionError(f"the broker refused the connection: {answer.hex()}")
        self.socket.setblocking(False)  # noqa: FBT003
        self.part = part
        self.sent = part.start
        self.unsent = memoryview(b"")
        self._built = np.empty((0, 0), np.uint8)
        self.settled_bytes = 0

    @property
    def in_flight(self) -> int:
        return self.sent - self.part.start - self.settled_bytes // PUBACK_BYTES

    def look(self) -> None:
        """Count the PUBACKs that have come; go on with what the socket did not take before."""
        with contextlib.suppress(BlockingIOError):
            answer = self.socket.recv(65536)
            if not answer:
                raise ConnectionError("the broker closed a connection")
            self.settled_bytes += len(answer)
        if self.unsent:
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def send(self, fraction: float, window: int, build: Callable[[int, int], Packets]) -> bool:
        """Send of what is due, `fraction` of its part, as much as the window allows; whether there was any.

        `build(first, count)` makes messages, a block at a time. Half a window at once, or all that is due: a packet at
        a time would cost a system call each.
        """
        due = self.part.start + int(len(self.part) * fraction)
        count = min(due - self.sent, window - self.in_flight, MOST_IN_A_BLOCK)
        if count <= 0 or self.unsent or not (2 * count >= window or count == due - self.sent):
            return False
        if len(self._built) < count:
            self._built = build(self.sent, min(self.part.stop - self.sent, MOST_IN_A_BLOCK))
        block, self._built = self._built[:count], self._built[count:]
        self.sent += count
        self.unsent = memoryview(block.tobytes())
        self.look()
        return True


def _login(at: SplitResult) -> bytes:
    said = (at.username, at.password)
    return b"".join(len(part).to_bytes(2, "big") + part.encode() for part in said if part is not None)


def blast(
    url: str,
    count: int,
    *,
    connections: int = 10,
    window: int = 500,
    pumps: int = 1000,
    rate: float | None = None,
    boot: int = 1,
    within_s: float = 120.0,
    build: Callable[..., Packets] = packets,
    before: int = 0,
    after: int = 0,
) -> Blast:
    """Publish `count` messages, at most `rate` a second, and wait for their PUBACKs; stop after `within_s` in any case.

    A pump stays on one connection, so that its order is kept. `build` makes the messages: see `packets`. `before` and
    `after`: how many of the same fleet were published already, and are to be.
    """
    at = urlsplit(url)
    host, port = at.hostname or "127.0.0.1", at.port or 1883
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError("the blaster feeds brokers on this machine only")
    login = _login(at)
    served = [np.arange(number, pumps, connections, dtype=np.int64) for number in range(connections)]
    if before + count + after > 10_000 * pumps or pumps < connections:
        raise ValueError("10,000 messages a pump at most, and a pump a connection at least")

    def share(of: int, number: int) -> int:
        return of // connections + (number < of % connections)

    parts = [range(share(before, number), share(before + count, number)) for number in range(connections)]
    newest_seq = max(share(before + count + after, number) // max(len(own), 1) for number, own in enumerate(served))
    links: list[_Connection] = []
    try:
        for number, part in enumerate(parts):
            links.append(_Connection(host, port, number, login, part))
        makers = [
            partial(build, pumps=own, newest_seq=newest_seq, now_ms=int(time.time() * 1000), boot=boot)
            for own in served
        ]
        began, cpu_began = time.monotonic(), time.process_time()
        while (elapsed_s := time.monotonic() - began) < within_s:
            fraction = 1.0 if rate is None else min(1.0, rate * elapsed_s / count)
            idle = True
            for link, of in zip(links, makers, strict=True):
                link.look()
                idle = not link.send(fraction, window, of) and idle
            if all(link.sent == link.part.stop and not link.in_flight for link in links):
                break
            _rest(idle=idle, paced=rate is not None)
        sent = sum(link.sent - link.part.start for link in links)
        settled = sent - sum(link.in_flight for link in links)
        return Blast(sent, settled, began, time.monotonic() - began, time.process_time() - cpu_began)
    finally:
        for link in links:
            link.socket.close()


def _rest(*, idle: bool, paced: bool) -> None:
    if paced or idle:
        time.sleep(PACED_LOOK_EVERY_S if paced else LOOK_EVERY_S)


def payloads(count: int, pumps: int = 1000) -> Iterator[tuple[bytes, bytes]]:
    """Yield (topic, payload) of the same messages, for those who publish by other means."""
    all_pumps = np.arange(pumps, dtype=np.int64)
    block = packets(0, count, pumps=all_pumps, newest_seq=count // pumps, now_ms=int(time.time() * 1000), boot=1)
    topic = _template(1).index(TOPIC)
    for row in block:
        packet = row.tobytes()
        yield packet[topic : topic + len(TOPIC)], packet[topic + len(TOPIC) + 2 :]


def main() -> int:
    parser = argparse.ArgumentParser(prog="blaster", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--window", type=int, default=500)
    parser.add_argument("--pumps", type=int, default=1000)
    parser.add_argument("--rate", type=float, help="messages a second; default: as fast as the broker takes them")
    parser.add_argument("--within-s", type=float, default=120.0)
    arguments = parser.parse_args()
    came_of_it = blast(
        arguments.url,
        arguments.count,
        connections=arguments.connections,
        window=arguments.window,
        pumps=arguments.pumps,
        rate=arguments.rate,
        within_s=arguments.within_s,
    )
    sys.stdout.write(
        f"{came_of_it.settled} of {came_of_it.sent} settled in {came_of_it.elapsed_s:.2f} s, "
        f"{came_of_it.messages_a_second:.0f}/s, {came_of_it.cpu_us_a_message:.2f} µs CPU a message\n"
    )
    return 0 if came_of_it.settled == arguments.count else 1


if __name__ == "__main__":
    sys.exit(main())
