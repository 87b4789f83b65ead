"""Pumps have a connection each, share one by site, or share a few: every pump is on exactly one."""

import pytest

from simulators.lanes import Connections, lanes_of, sockets_needed

IDS = [f"p{number:06d}" for number in range(10)]
SITES = ["north", "south", "north", "east", "east", "north", "south", "west", "west", "north"]


@pytest.mark.parametrize(("connections", "lanes"), [("pump", 10), ("site", 4), (3, 3), (1, 1), (50, 10)])
def test_every_pump_is_on_one_connection(connections: Connections, lanes: int) -> None:
    found = lanes_of(connections, IDS, SITES)

    assert sorted(pump for lane in found for pump in lane.pumps) == list(range(10))
    assert len(found) == lanes
    assert [lane.number for lane in found] == list(range(lanes))
    # Pumps that share theirs have one more, which hears the receipts.
    assert sockets_needed(connections, len(IDS), len(set(SITES))) == lanes + (connections != "pump")


def test_a_gateway_carries_the_pumps_of_its_site() -> None:
    by_site = [{SITES[pump] for pump in lane.pumps} for lane in lanes_of("site", IDS, SITES)]

    assert sorted(map(sorted, by_site)) == [["east"], ["north"], ["south"], ["west"]]
