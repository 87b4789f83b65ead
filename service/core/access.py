"""What may be asked of the API with a narrowed token, and how long does somebody wait who guesses passwords?"""

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What a token may be narrowed to. Each is needed by the requests of one kind; roles count beside it."""

    READ = "read"
    ALERTS = "alerts"  # answer them, begin a drill
    REGISTRY = "registry"  # pumps and sites, and what was kept aside of what they sent
    RULES = "rules"
    DELIVERY = "delivery"  # endpoints, policies, deliveries
    ACCESS = "access"  # accounts and tokens; and all that is not named here


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BY_FIRST_WORD: Final = {
    "alerts": Scope.ALERTS,
    "drills": Scope.ALERTS,
    "pumps": Scope.REGISTRY,
    "registry": Scope.REGISTRY,
    "sites": Scope.REGISTRY,
    "quarantine": Scope.REGISTRY,
    "rules": Scope.RULES,
    "endpoints": Scope.DELIVERY,
    "escalation": Scope.DELIVERY,
    "deliveries": Scope.DELIVERY,
}
_NOT_FOR_READERS: Final = frozenset({"accounts", "tokens"})


def scope_of(method: str, path: str) -> Scope:
    """Return what a request for `path`, below /api/v1/, needs."""
    first = path.removeprefix("/api/v1/").partition("/")[0]
    if method in SAFE_METHODS:
        return Scope.ACCESS if first in _NOT_FOR_READERS else Scope.READ
    return _BY_FIRST_WORD.get(first, Scope.ACCESS)


REMEMBERED_S: Final = 900.0
"""Failed logins older than this count no more."""
_FREE_OF_NAME: Final = 5
_FREE_OF_ADDRESS: Final = 50  # a clinic may share one
_FIRST_WAIT_S: Final = 30.0


def wait_s(of_name: int, of_address: int) -> float:
    """Return for how long after the last failure nothing more is tried: it doubles with each beyond the free ones."""
    beyond = max(of_name - _FREE_OF_NAME, of_address - _FREE_OF_ADDRESS)
    return 0.0 if beyond < 0 else min(_FIRST_WAIT_S * 2.0 ** min(beyond, 10), REMEMBERED_S)
