"""What does a pump's own clock show? It drifts, and whoever forwards its readings sets it before it is far off."""

from collections.abc import Iterator
from typing import Final, NamedTuple

SET_AT_MS: Final = 20_000  # off by this much
_BILLION: Final = 1_000_000_000


class Clock(NamedTuple):
    """A clock that is right at `right_ms`, and from then on set again and again. Times come as true ones."""

    right_ms: int
    ppb: int
    is_set: bool = True  # else nobody sets it, however far off it is

    def off_ms(self, true_ms: int) -> int:
        """How far the clock is ahead."""
        passed_ms = true_ms - self.right_ms
        if self.is_set and passed_ms > 0:
            passed_ms %= self._apart_ms
        return passed_ms * self.ppb // _BILLION

    def shown_ms(self, true_ms: list[int]) -> list[int]:
        """What the clock shows at several times in order."""
        first_ms, last_ms = true_ms[0], true_ms[-1]
        ppb, right_ms = self.ppb, self.right_ms
        if self.is_set and last_ms > right_ms:
            right_ms += max(last_ms - right_ms, 0) // self._apart_ms * self._apart_ms
            if first_ms < right_ms:
                return [each + self.off_ms(each) for each in true_ms]
        return [each + (each - right_ms) * ppb // _BILLION for each in true_ms]

    def settings(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
        """Yield (when, what the clock showed before) of each time that it is set after `from_ms`, up to `to_ms`."""
        if not self.is_set or not self.ppb:
            return
        apart_ms = self._apart_ms
        number = max((from_ms - self.right_ms) // apart_ms, 0) + 1
        while (at_ms := self.right_ms + number * apart_ms) <= to_ms:
            yield at_ms, at_ms + self.off_ms(at_ms - 1)
            number += 1

    @property
    def _apart_ms(self) -> int:
        return SET_AT_MS * _BILLION // max(abs(self.ppb), 1)
