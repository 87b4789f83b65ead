"""May this one ask once more, and if not, when? A bucket for each who asks, in a memory that does not grow.

Kept of each is one number: the time at which its bucket would be full again (the generic cell rate algorithm).
"""

from collections.abc import Hashable
from typing import Final

MOST_KEPT: Final = 10_000
"""Whoever has not asked for longest is forgotten first, and begins with a full bucket when he comes again."""
_ROUNDING_S: Final = 1e-6


class Allowance:
    """So many a second for each, and `at_once` of them at once. Nothing a second: no limit."""

    def __init__(self, a_second: float, at_once: float, most_kept: int = MOST_KEPT) -> None:
        self._each_s = 1 / a_second if a_second else 0.0
        self._slack_s = (max(at_once, 1.0) - 1) * self._each_s
        self._most_kept = most_kept
        self._full_at_s: dict[Hashable, float] = {}

    def take(self, who: Hashable, now_s: float) -> float:
        """Take one, and return 0; or take nothing, and return in how many seconds there will be one."""
        if not self._each_s:
            return 0.0
        full_at_s = max(self._full_at_s.pop(who, now_s), now_s)
        wait_s = full_at_s - now_s - self._slack_s
        self._full_at_s[who] = full_at_s if wait_s > _ROUNDING_S else full_at_s + self._each_s
        if len(self._full_at_s) > self._most_kept:
            del self._full_at_s[next(iter(self._full_at_s))]
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def give_back(self, who: Hashable) -> None:
        """Of those that were taken, one."""
        if who in self._full_at_s:
            self._full_at_s[who] -= self._each_s

    def __len__(self) -> int:
        return len(self._full_at_s)
