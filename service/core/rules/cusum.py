"""How does a sustained shift add up, hour by hour? Page's CUSUM with a cap, and the world that it is calibrated in.

    C ← min(2 · decision, max(0, C + share · min(x − reference, cap)))        begins when C ≥ decision

x is an hour's deviation from the program towards the watched side, `share` the covered part of the hour: what an hour
adds is the logarithm of a likelihood ratio, and half an hour's evidence is half of it. `false_alerts` runs the very
recursion of the rule over hours that are simulated from given normal draws, so that what `pumpwatch rules calibrate`
finds is what the rule does.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]
_ROUNDING: Final = 1e-12  # two capped hours reach the decision exactly


class Design(NamedTuple):
    """What the rulebook says of one side: in shares of the program, `decision` times an hour."""

    reference: Column | float
    decision: Column | float
    cap: Column | float
    clear_hours: Column | float


class Noise(NamedTuple):
    """The hours of a healthy pump, in shares of its program: its bias, and about that white noise plus AR(1) drift."""

    bias_mean: float = 0.01
    bias_sd: float = 0.04
    bias_limit: float = 0.145  # a pump beyond the labelled tolerance is not healthy
    white_sd: float = 0.15 / math.sqrt(60)  # 15 % of a one-minute reading
    drift_sd: float = 0.03
    drift_tau_h: float = 6.0


class Side(NamedTuple):
    """Where one side of a pump stands."""

    level: Column
    total: Column
    clear_hours: Column


def advance(side: Side, excess: Column, share: Column | float, design: Design) -> Side:
    """One hour more, `excess` off towards this side."""
    holds = side.level > 0
    added = share * np.minimum(excess - design.reference, design.cap)
    total = np.minimum(np.maximum(side.total + added, 0.0), 2.0 * np.asarray(design.decision))
    begins = ~holds & (total >= np.asarray(design.decision) - _ROUNDING)
    hours = np.where(excess < design.reference, side.clear_hours + 1.0, 0.0)
    ends = holds & (hours >= design.clear_hours)
    return Side(
        np.where(begins, 1.0, np.where(ends, 0.0, side.level)),
        np.where(ends, 0.0, total),
        np.where(holds & ~ends, hours, 0.0),
    )


def hours(noise: Noise, bias: Column, white: Column, drift: Column) -> Iterator[Column]:
    """The deviation of each healthy pump, hour by hour.

    `bias` [pump] and `white` and `drift` [hour, pump] are independent standard normal draws. The drift begins in its
    steady state.
    """
    own = np.clip(noise.bias_mean + noise.bias_sd * bias, -noise.bias_limit, noise.bias_limit)
    kept = math.exp(-1.0 / noise.drift_tau_h)
    drifted = drift[0]
    for number in range(len(white)):
        drifted = kept * drifted + math.sqrt(1.0 - kept * kept) * drift[number] if number else drifted
        yield own + noise.white_sd * white[number] + noise.drift_sd * drifted


def false_alerts(design: Design, noise: Noise, bias: Column, white: Column, drift: Column) -> Column:
    """How often each pump is alerted upon in those hours, on both sides together."""
    zeros = np.zeros(len(bias))
    over = under = Side(zeros, zeros, zeros)
    alerts = zeros
    for deviation in hours(noise, bias, white, drift):
        was = over.level + under.level
        over, under = advance(over, deviation, 1.0, design), advance(under, -deviation, 1.0, design)
        alerts = alerts + np.maximum(over.level + under.level - was, 0.0)
    return alerts


def mean_run_length(reference: float, decision: float, draws: Column) -> float:
    """How many samples Page's sum takes on average until it exceeds `decision`, begun anew each time; no cap.

    `draws` [sample, pump]; for comparison with published figures.
    """
    total, passed = np.zeros(draws.shape[1]), 0
    for sample in draws:
        total = np.maximum(total + (sample - reference), 0.0)
        over = total > decision
        passed += int(np.count_nonzero(over))
        total[over] = 0.0
    return draws.size / passed if passed else math.inf
