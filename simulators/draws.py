"""Which random number belongs to this pump at this step? Counter-based: no state, so batching and speed change nothing.

A draw is a function of (seed, pump number, purpose, step): the SplitMix64 sequence of Steele, Lea and Flood (2014),
entered at any place. A pump's draws do not depend on how many other pumps there are.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

_GAMMA: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def keys_of(seed: int, numbers: npt.NDArray[np.int64], purpose: str) -> Keys:
    """Return the starting point of each pump's sequence for one purpose; shape as `numbers`."""
    start = _mix(np.array([seed & _MASK], dtype=np.uint64))
    for byte in purpose.encode():
        start = _mix(start + np.uint64(byte + 1))
    return _mix(start + numbers.astype(np.uint64) * np.uint64(_GAMMA))


def uniform(keys: Keys, step: int) -> Floats:
    """Return one number in (0, 1), both ends excluded, for each key."""
    bits = _mix(keys + np.uint64((step + 1) * _GAMMA & _MASK))
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal_pair(keys: Keys, step: int) -> tuple[Floats, Floats]:
    """Return two independent standard normal numbers for each key (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(keys, 2 * step)))
    angle = 2.0 * np.pi * uniform(keys, 2 * step + 1)
    return radius * np.cos(angle), radius * np.sin(angle)


def _mix(bits: Keys) -> Keys:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
