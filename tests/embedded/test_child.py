"""Ports of the loopback: who is given one has it alone, though nobody listens on it yet."""

import subprocess
import sys

import pytest

from service.embedded import child
from service.embedded.child import free_port


def test_a_port_that_is_free_is_below_those_of_outgoing_connections() -> None:
    assert free_port() < 32_000


def test_no_port_is_given_twice_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PORTS", range(19_000, 19_050))
    ports = [free_port() for _ in range(30)]
    assert len(set(ports)) == len(ports)


@pytest.mark.skipif(sys.platform != "linux", reason="the name by which a port is claimed is Linux's")
def test_no_port_is_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    two = range(19_100, 19_102)
    monkeypatch.setattr(child, "PORTS", two)
    mine = free_port()
    asked = f"from service.embedded import child as c; c.PORTS = range({two.start}, {two.stop}); print(c.free_port())"
    said = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert {mine, int(said.stdout)} == set(two)


def test_claims_do_not_pile_up() -> None:
    for _ in range(150):
        free_port()
    assert len(child._claims) <= 100
