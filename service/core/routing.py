"""Who is told? Every enabled endpoint at once; of a simulated pump only those that accept it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Route:
    """What routing needs to know of an endpoint."""

    endpoint: UUID
    accepts_simulated: bool
    enabled: bool


def told(routes: Iterable[Route], *, simulated: bool) -> list[UUID]:
    """Return the endpoints that a notification goes to, in a fixed order."""
    return sorted(route.endpoint for route in routes if route.enabled and (route.accepts_simulated or not simulated))
