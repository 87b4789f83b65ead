"""Exact limits of a counted rate, against the published table (Garwood 1936; Ulm 1990)."""

import pytest

from service.core.rates import exact_limits, upper_limit


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (8, 3.454, 15.763)])
def test_limits_are_the_published_ones(count: int, low: float, high: float) -> None:
    assert exact_limits(count, 1.0) == pytest.approx((low, high), abs=0.002)
    assert exact_limits(count, 4.0) == pytest.approx((low / 4, high / 4), abs=0.001)


@pytest.mark.parametrize(("count", "upper"), [(0, 2.996), (3, 7.754), (10, 16.962)])
def test_the_upper_limit_is_the_published_one(count: int, upper: float) -> None:
    assert upper_limit(count, 1.0) == pytest.approx(upper, abs=0.002)
