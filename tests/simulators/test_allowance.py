"""A limit a second is kept over any longer while, and never makes a burst of what was not used."""

from simulators.allowance import SAVED_S, Allowance


def test_no_more_is_sent_than_the_rate_allows() -> None:
    allowance = Allowance(200.0, 0.0)
    sent = 0
    for tick in range(1, 1001):
        allowed = allowance.now(tick / 100)
        allowance.spend(allowed)
        sent += allowed

    assert 1990 <= sent <= 2000


def test_what_was_not_sent_is_made_up_for_only_a_moment() -> None:
    allowance = Allowance(1000.0, 0.0)

    assert allowance.now(3600.0) == 1000 * SAVED_S


def test_a_slow_rate_still_lets_one_through() -> None:
    allowance = Allowance(0.5, 0.0)

    assert allowance.now(1.0) == 0
    assert allowance.now(2.0) == 1


def test_without_a_rate_there_is_no_limit() -> None:
    allowance = Allowance(0.0, 0.0)
    allowance.spend(10**6)

    assert allowance.now(0.0) > 10**6
