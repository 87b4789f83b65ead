"""Who is told."""

from uuid import UUID

from service.core.change import Priority
from service.core.routing import Route, told

ROUTES = [
    Route(UUID(int=3), accepts_simulated=False, enabled=True, name="pager", priorities=frozenset({"high"})),
    Route(UUID(int=2), accepts_simulated=True, enabled=True, name="demo"),
    Route(UUID(int=1), accepts_simulated=False, enabled=True, name="clinic"),
    Route(UUID(int=4), accepts_simulated=True, enabled=False, name="closed"),
]


def names(priority: Priority = Priority.HIGH, *, simulated: bool = False) -> list[str]:
    return [route.name for route in told(ROUTES, priority, simulated=simulated)]


def test_every_enabled_endpoint_is_told_of_a_pump() -> None:
    assert names() == ["clinic", "demo", "pager"]


def test_of_a_simulated_pump_only_those_that_accept_it_are_told() -> None:
    assert names(simulated=True) == ["demo"]


def test_an_endpoint_is_told_only_of_the_priorities_that_it_wants() -> None:
    assert names(Priority.LOW) == ["clinic", "demo"]


def test_nobody_to_tell_is_no_error() -> None:
    assert told([], Priority.HIGH, simulated=False) == []
