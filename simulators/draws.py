"""Which random number belongs to this pump at this step? Counter-based: no state, so batching and speed change nothing.

A draw is a function of (seed, pump number, purpose, step): the SplitMix64 sequence of Steele, Lea and Flood (2014),
entered at any place. A pump's draws do not depend on how many other pumps there are.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_GAMMA: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def keys_of(seed: int, numbers: Integers, purpose: str) -> Keys:
    """Return the starting point of each pump's sequence for one purpose; shape as `numbers`."""
    start = _mixed(np.array([seed & _MASK], dtype=np.uint64))
    for byte in purpose.encode():
        start = _mixed(start + np.uint64(byte + 1))
    return _mixed(start + numbers.astype(np.uint64) * np.uint64(_GAMMA))


def uniform(keys: Keys, step: int | Integers) -> Floats:
    """Return one number in (0, 1), both ends excluded, for each key.

    With an array of steps: for each step and key, [step, key].
    """
    if isinstance(step, np.ndarray):
        places = (step.astype(np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
        bits = _mixed(keys + places[:, None])
    else:
        bits = _mixed(keys + np.uint64((step + 1) * _GAMMA & _MASK))
    bits >>= np.uint64(11)
    drawn = bits.astype(np.float64)
    drawn += 0.5
    drawn *= 2.0**-53
    return drawn


def normal_pair(keys: Keys, step: int | Integers) -> tuple[Floats, Floats]:
    """Return two independent standard normal numbers for each key, and step (Box and Muller, 1958)."""
    radius = uniform(keys, 2 * step)
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    angle = uniform(keys, 2 * step + 1)
    angle *= 2.0 * np.pi
    first = np.cos(angle)
    first *= radius
    second = np.sin(angle, out=angle)
    second *= radius
    return first, second


def _mixed(bits: Keys) -> Keys:
    """Mix in place what the caller has just made."""
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits
