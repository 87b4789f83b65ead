"""How soon can a fault be known at all, at a stated rate of false alerts? The bounds that the score measures against.

For shifts: the exact run length of Page's one-sided CUSUM on independent normal samples, from its integral equation,
solved by Gauss-Legendre quadrature (Nyström; Brook and Evans 1972). For counts: exact Poisson limits (Garwood 1936).
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NODES: Final = 96
_SQRT_TWO_PI: Final = math.sqrt(2 * math.pi)


def run_length(reference: float, decision: float, mean: float, sd: float = 1.0) -> float:
    """The mean number of samples until S ← max(0, S + x − reference) first exceeds `decision`, from S = 0.

    x is normal with `mean` and `sd`, in the unit of `reference` and `decision`.
    """
    height, drift = decision / sd, (mean - reference) / sd
    points, weights = np.polynomial.legendre.leggauss(NODES)
    points, weights = height * (points + 1) / 2, height * weights / 2
    # L(s) = 1 + L(0) Φ(−s − drift) + ∫ L(t) φ(t − s − drift) dt over (0, height); L(0) is the last unknown.
    starts = np.append(points, 0.0)
    kernel = np.empty((NODES + 1, NODES + 1))
    kernel[:, :NODES] = weights * np.exp(-((points[None, :] - starts[:, None] - drift) ** 2) / 2) / _SQRT_TWO_PI
    kernel[:, NODES] = _below(-starts - drift)
    lengths = np.linalg.solve(np.eye(NODES + 1) - kernel, np.ones(NODES + 1))
    return float(lengths[NODES])


def decision_for(reference: float, mean: float, sd: float, wanted_run_length: float) -> float:
    """The decision limit whose run length at `mean` is the wanted one; at least a tenth of `sd`."""
    return _where(lambda decision: run_length(reference, decision, mean, sd) >= wanted_run_length, 0.1 * sd, 60.0 * sd)


def shift_delay_h(shift: float, *, accept: float, reject: float, sd: float, false_alerts_an_hour: float) -> float:
    """The delay, in hourly samples, of the CUSUM tuned for `reject` that is as rarely wrong at the `accept` level.

    All as fractions of the program; `sd` is the effective one, autocorrelation included. At least the one hour that a
    sample takes.
    """
    reference = (accept + reject) / 2
    decision = decision_for(reference, accept, sd, 1 / false_alerts_an_hour)
    return max(run_length(reference, decision, shift, sd), 1.0)


def effective_sd(white_sd: float, drift_sd: float, drift_tau_h: float) -> float:
    """The deviation of hourly means whose long sums vary as those of white noise plus AR(1) do.

    `white_sd` is that of an hour's mean; `drift_sd` that of the AR(1) process with time constant `drift_tau_h`.
    """
    kept = math.exp(-1 / drift_tau_h)
    return math.sqrt(white_sd**2 + drift_sd**2 * (1 + kept) / (1 - kept))


def stall_delay_h(
    program_ml_d: float, interval_s: float, *, missed_ul: float = 10.0, at_least_s: float = 1200.0
) -> float:
    """A stopped rotor is known once a volume is missed (V_m / q), at least twenty minutes, and two readings."""
    missed_s = missed_ul / (program_ml_d * 1000 / 86_400)
    return (max(missed_s, at_least_s) + 2 * interval_s) / 3600


def rate_limits(count: int, exposure: float, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided limits for the rate of a Poisson count over `exposure`."""
    tail = (1 - confidence) / 2
    return (_lower(count, tail) / exposure, _upper(count, tail) / exposure)


def upper_rate(count: int, exposure: float, confidence: float = 0.95) -> float:
    """The exact one-sided upper limit for the rate of a Poisson count over `exposure`."""
    return _upper(count, 1 - confidence) / exposure


def _upper(count: int, tail: float) -> float:
    return _where(lambda mean: _poisson_at_most(count, mean) <= tail, 0.0, 10.0 * count + 20.0)


def _lower(count: int, tail: float) -> float:
    if count == 0:
        return 0.0
    return _where(lambda mean: 1 - _poisson_at_most(count - 1, mean) >= tail, 0.0, float(count))


def _poisson_at_most(count: int, mean: float) -> float:
    if mean == 0:
        return 1.0
    logs = np.arange(count + 1) * math.log(mean) - np.array([math.lgamma(each + 1) for each in range(count + 1)])
    return float(np.exp(logs - mean).sum())


def _where(enough: Callable[[float], bool], low: float, high: float) -> float:
    """The least argument in [low, high] that is enough: `enough` is false below it and true above."""
    if enough(low):
        return low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _below(values: Floats) -> Floats:
    """The standard normal distribution."""
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values.tolist()])
