"""Ports of the loopback: who is given one has it alone, though nobody listens on it yet."""

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator

import pytest

from service.embedded import child
from service.embedded.child import EmbeddedServerError, free_port


def test_a_port_that_is_free_is_below_those_of_outgoing_connections() -> None:
    assert free_port() < 32_000


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of this test alone, and given back at its end."""
    own: deque[socket.socket] = deque(maxlen=100)
    monkeypatch.setattr(child, "_claims", own)
    yield
    for claim in own:
        claim.close()


@pytest.mark.usefixtures("claims")
def test_no_port_is_given_twice_to_one_process() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == len(ports)


@pytest.mark.skipif(sys.platform != "linux", reason="the name by which a port is claimed is Linux's")
@pytest.mark.usefixtures("claims")
def test_no_port_is_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = free_port()
    asked = f"from service.embedded import child as c; c.PORTS = range({mine}, {mine + 1}); c.free_port()"
    said = subprocess.run([sys.executable, "-c", asked], check=False, capture_output=True, text=True, timeout=120)
    assert said.returncode == 1
    assert said.stderr.endswith(f"EmbeddedServerError: no free port from {mine} to {mine}\n")
    monkeypatch.setattr(child, "PORTS", range(mine, mine + 1))
    with pytest.raises(EmbeddedServerError, match="no free port"):
        free_port()


@pytest.mark.usefixtures("claims")
def test_claims_do_not_pile_up() -> None:
    for _ in range(150):
        free_port()
    assert len(child._claims) <= 100
