"""Who may be told? Enabled endpoints that want the priority; of a simulated pump only those that accept it.

Whom of these an alert's policy reaches is core/roster.py's to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from service.core.change import Priority


@dataclass(frozen=True, slots=True)
class Route:
    """What routing needs to know of an endpoint."""

    endpoint: UUID
    accepts_simulated: bool
    enabled: bool
    name: str = ""
    priorities: frozenset[str] = frozenset(Priority)
    canary: bool = False  # it hears of the canary, and of nothing else


def told(routes: Iterable[Route], priority: Priority, *, simulated: bool, canary: bool = False) -> list[Route]:
    """Return the endpoints that a notification goes to, in a fixed order."""
    return sorted(
        (
            route
            for route in routes
            if route.canary is canary
            and route.enabled
            and priority in route.priorities
            and (route.accepts_simulated or not simulated)
        ),
        key=lambda route: route.endpoint,
    )
