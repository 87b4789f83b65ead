"""Who is told."""

from uuid import UUID

from service.core.routing import Route, told

CLINIC, DEMO, CLOSED = UUID(int=1), UUID(int=2), UUID(int=3)
ROUTES = [
    Route(DEMO, accepts_simulated=True, enabled=True),
    Route(CLINIC, accepts_simulated=False, enabled=True),
    Route(CLOSED, accepts_simulated=True, enabled=False),
]


def test_every_enabled_endpoint_is_told_of_a_pump() -> None:
    assert told(ROUTES, simulated=False) == [CLINIC, DEMO]


def test_of_a_simulated_pump_only_those_that_accept_it_are_told() -> None:
    assert told(ROUTES, simulated=True) == [DEMO]


def test_nobody_to_tell_is_no_error() -> None:
    assert told([], simulated=False) == []
