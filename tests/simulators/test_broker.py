"""A broker is given as an address, and what is not on this machine is known as such."""

import pytest

from simulators.broker import Broker, broker_of


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://127.0.0.1:1884", Broker("127.0.0.1", 1884)),
        ("mqtt://localhost", Broker("localhost", 1883)),
        ("mqtt://user:p%40ss@[::1]:1885/", Broker("::1", 1885, "user", "p@ss")),
    ],
)
def test_a_broker_is_given_as_an_address(url: str, broker: Broker) -> None:
    assert broker_of(url) == broker
    assert broker.is_loopback
    assert "p@ss" not in f"{broker} {broker!r}"


@pytest.mark.parametrize("url", ["127.0.0.1:1883", "http://127.0.0.1", "mqtt://", "mqtt://h:99999", "mqtt://h/path"])
def test_what_is_no_address_of_a_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="broker"):
        broker_of(url)


@pytest.mark.parametrize("host", ["192.168.1.1", "broker.example.org", "10.0.0.1", "127.0.0.1.example.org"])
def test_a_remote_broker_is_known_as_such(host: str) -> None:
    assert not Broker(host, 1883).is_loopback


def test_every_address_of_a_broker_is_tried_in_turn() -> None:
    broker = Broker("127.0.0.1", 1883)

    assert broker.address(0) == broker.address(7)
    assert broker.address(0)[1] == ("127.0.0.1", 1883)


def test_each_link_begins_with_another_node_of_a_cluster_and_tries_all() -> None:
    broker = broker_of("mqtt://pumps:secret@127.0.0.1:1884,127.0.0.2:1885,127.0.0.3")

    assert broker.is_loopback
    hosts = [[broker.beginning_at(link).address(attempt)[1] for attempt in range(3)] for link in range(3)]
    assert hosts[0] == [("127.0.0.1", 1884), ("127.0.0.2", 1885), ("127.0.0.3", 1883)]
    assert {tried[0] for tried in hosts} == set(hosts[0])
    assert all(set(tried) == set(hosts[0]) for tried in hosts)
    assert not broker_of("mqtt://127.0.0.1,10.0.0.1").is_loopback
