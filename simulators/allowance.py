"""How many messages may be sent now, where there is a limit a second?"""

from typing import Final

SAVED_S: Final = 0.05  # what was not sent may be made up for, but for no longer than this
NO_LIMIT: Final = 1 << 30


class Allowance:
    """Earned with time, spent with messages. `a_second` 0: no limit."""

    def __init__(self, a_second: float, now_s: float) -> None:
        self._a_second = a_second
        self._earned = 0.0
        self._since_s = now_s

    def now(self, now_s: float) -> int:
        """How many may be sent."""
        if not self._a_second:
            return NO_LIMIT
        earned = self._earned + (now_s - self._since_s) * self._a_second
        self._earned = min(earned, max(self._a_second * SAVED_S, 1.0))
        self._since_s = now_s
        return int(self._earned)

    def spend(self, messages: int) -> None:
        self._earned -= messages
