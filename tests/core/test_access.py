"""What a narrowed token may ask, and how long somebody waits who guesses."""

import pytest

from service.core.access import REMEMBERED_S, Scope, scope_of, wait_s


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/v1/pumps/p1/readings", Scope.READ),
        ("HEAD", "/metrics", Scope.READ),
        ("POST", "/api/v1/alerts/x/acknowledge", Scope.ALERTS),
        ("PUT", "/api/v1/pumps/p1", Scope.REGISTRY),
        ("DELETE", "/api/v1/endpoints/e", Scope.DELIVERY),
        ("POST", "/api/v1/rules/overrides", Scope.RULES),
        ("GET", "/api/v1/accounts", Scope.ACCESS),
        ("GET", "/api/v1/tokens", Scope.ACCESS),
        ("DELETE", "/api/v1/tokens/x", Scope.ACCESS),
        ("PATCH", "/api/v1/what-nobody-thought-of", Scope.ACCESS),
    ],
)
def test_each_request_needs_the_scope_of_its_kind(method: str, path: str, scope: Scope) -> None:
    assert scope_of(method, path) is scope


def test_whoever_guesses_waits_longer_and_longer_and_never_for_ever() -> None:
    assert wait_s(4, 4) == 0
    waits = [wait_s(failures, 0) for failures in range(5, 30)]
    assert waits[0] == 30
    assert waits == sorted(waits)
    assert waits[-1] == REMEMBERED_S
    assert wait_s(0, 49) == 0
    assert wait_s(0, 50) == 30
    assert wait_s(10_000, 10_000) == REMEMBERED_S
