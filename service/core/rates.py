"""How sure is a rate that was counted? Exact Poisson limits (Garwood 1936)."""

import math


def exact_limits(count: int, exposure: float, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided limits of the rate of `count` events over `exposure`."""
    tail = (1 - confidence) / 2
    lower = 0.0 if count == 0 else _mean_where(count - 1, 1 - tail)
    return lower / exposure, _mean_where(count, tail) / exposure


def upper_limit(count: int, exposure: float, confidence: float = 0.95) -> float:
    """The rate that `count` events, or fewer, would be improbable for."""
    return _mean_where(count, 1 - confidence) / exposure


def _mean_where(count: int, chance: float) -> float:
    """The mean at which at most `count` events come with this chance: it falls as the mean grows."""
    low, high = 0.0, 10.0 * count + 20.0
    for _ in range(80):
        middle = (low + high) / 2
        if _at_most(count, middle) > chance:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, mean: float) -> float:
    return math.fsum(math.exp(number * math.log(mean) - mean - math.lgamma(number + 1)) for number in range(count + 1))
