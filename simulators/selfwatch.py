"""What does a pump notice of itself, and say as a device alarm? Only what real pumps know: no truth comes in here."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulators import wire
from simulators.battery import LAST_DAYS_MS, LIFE_LIMIT_MS, REPLACE_SOON_V
from simulators.draws import Floats, Integers
from simulators.said import Said

LOW_ML: Final = 2.0
STOPPED_TOO_LONG_MS: Final = 48 * 3_600_000
STALL_MISSED_UL: Final = 10.0
STALL_AT_LEAST_MS: Final = 20 * 60_000
STALL_MOVES_SHARE: Final = 0.05  # of the steps asked for: below it the rotor does not turn
RECOVERED_AFTER_MS: Final = 20 * 60_000
NEVER_MS: Final = 1 << 60


class Watched(NamedTuple):
    """Some spans as the pumps know them: arrays [step, pump], `from_ms` [pump] in true time."""

    from_ms: Integers
    spacing_ms: int
    mode: Integers
    asked_ul: Floats
    moved_ul: Floats
    computed_ml: Floats
    voltage_v: Floats

    def end_ms(self, pump: int, step: int) -> int:
        return int(self.from_ms[pump]) + self.spacing_ms * (step + 1)


class SelfWatch:
    """Each code is raised once and cleared when it no longer holds. `replace_soon` and `end_of_service` never clear."""

    def __init__(self, tells_stalls: npt.NDArray[np.bool_], implanted_ms: Integers) -> None:
        count = len(implanted_ms)
        self.raised: dict[str, npt.NDArray[np.bool_]] = {
            code: np.zeros(count, np.bool_)
            for code in (
                *("reservoir_low", "reservoir_empty", "replace_soon", "end_of_service", "stopped_48h"),
                *("motor_stall", "battery_reset"),
            )
        }
        self.replace_ms = implanted_ms + LIFE_LIMIT_MS - LAST_DAYS_MS  # when the pump will say so, at the latest
        self._tells_stalls = tells_stalls
        self._stopped_ms = np.full(count, NEVER_MS)  # since when
        self._stalls: dict[int, _Stall] = {}

    def ends_of_service(self, to_ms: Integers) -> list[tuple[int, int]]:
        """(pump, when) of those whose last day ends before `to_ms` and who have not said so yet."""
        ends_ms = self.replace_ms + LAST_DAYS_MS
        ending = np.flatnonzero((ends_ms <= to_ms) & ~self.raised["end_of_service"])
        return [(pump, int(ends_ms[pump])) for pump in ending.tolist()]

    def end_of_service_ms(self, pump: int) -> int:
        """When the pump stops for good, as far as is known by now."""
        return int(self.replace_ms[pump]) + LAST_DAYS_MS

    def look(self, watched: Watched) -> list[Said]:
        return [
            *self._battery(watched),
            *self._reservoir("reservoir_low", LOW_ML, watched),
            *self._reservoir("reservoir_empty", 0.0, watched),
            *self._stopped(watched),
            *self._standing_still(watched),
        ]

    def refilled(self, pump: int, to_ml: float, at_ms: int) -> list[Said]:
        codes = [code for code, limit_ml in (("reservoir_low", LOW_ML), ("reservoir_empty", 0.0)) if to_ml > limit_ml]
        return [said for code in codes for said in self._clear(code, pump, at_ms)]

    def reset(self, pump: int, at_ms: int) -> list[Said]:
        return self._raise("battery_reset", pump, at_ms)

    def reprogrammed(self, pump: int, at_ms: int) -> list[Said]:
        return self._clear("battery_reset", pump, at_ms)

    def _battery(self, watched: Watched) -> Iterator[Said]:
        to_ms = watched.from_ms + watched.spacing_ms * len(watched.mode)
        flat = watched.voltage_v.min(axis=0) < REPLACE_SOON_V
        for pump in np.flatnonzero((flat | (self.replace_ms <= to_ms)) & ~self.raised["replace_soon"]).tolist():
            if flat[pump]:
                step = int(np.argmax(watched.voltage_v[:, pump] < REPLACE_SOON_V))
                self.replace_ms[pump] = min(int(self.replace_ms[pump]), watched.end_ms(pump, step))
            yield from self._raise("replace_soon", pump, self._not_before(int(self.replace_ms[pump]), pump, watched))
        for pump, end_ms in self.ends_of_service(to_ms):
            yield from self._raise("end_of_service", pump, self._not_before(end_ms, pump, watched))

    def _reservoir(self, code: str, limit_ml: float, watched: Watched) -> Iterator[Said]:
        for pump in np.flatnonzero((watched.computed_ml[-1] <= limit_ml) & ~self.raised[code]).tolist():
            step = int(np.argmax(watched.computed_ml[:, pump] <= limit_ml))
            yield from self._raise(code, pump, watched.end_ms(pump, step))

    def _stopped(self, watched: Watched) -> Iterator[Said]:
        stopped = watched.mode == wire.STOPPED
        for pump in np.flatnonzero(stopped.any(axis=0) | (self._stopped_ms < NEVER_MS)).tolist():
            for step, is_stopped in enumerate(stopped[:, pump].tolist()):
                end_ms = watched.end_ms(pump, step)
                if not is_stopped:
                    self._stopped_ms[pump] = NEVER_MS
                    yield from self._clear("stopped_48h", pump, end_ms)
                elif self._stopped_ms[pump] == NEVER_MS:
                    self._stopped_ms[pump] = end_ms - watched.spacing_ms
                too_long_ms = int(self._stopped_ms[pump]) + STOPPED_TOO_LONG_MS
                if too_long_ms <= end_ms:
                    yield from self._raise("stopped_48h", pump, too_long_ms)

    def _standing_still(self, watched: Watched) -> Iterator[Said]:
        """The rotor's encoder sees that it does not follow; how soon that can be known depends on the rate."""
        still = (watched.moved_ul < STALL_MOVES_SHARE * watched.asked_ul) & self._tells_stalls
        for pump in sorted({*np.flatnonzero(still.any(axis=0)).tolist(), *self._stalls}):
            stall = self._stalls.setdefault(pump, _Stall())
            for step in range(len(still)):
                told = stall.follow(bool(still[step, pump]), float(watched.asked_ul[step, pump]), watched.spacing_ms)
                end_ms = watched.end_ms(pump, step)
                yield from self._raise("motor_stall", pump, end_ms) if told else ()
                if stall.turned_ms >= RECOVERED_AFTER_MS:
                    yield from self._clear("motor_stall", pump, end_ms)
            if stall.turned_ms >= RECOVERED_AFTER_MS:
                del self._stalls[pump]

    def _raise(self, code: str, pump: int, at_ms: int) -> list[Said]:
        if self.raised[code][pump]:
            return []
        self.raised[code][pump] = True
        return [Said(pump, at_ms, "device_alarm_raised", {"code": code})]

    def _clear(self, code: str, pump: int, at_ms: int) -> list[Said]:
        if not self.raised[code][pump]:
            return []
        self.raised[code][pump] = False
        return [Said(pump, at_ms, "device_alarm_cleared", {"code": code})]

    def _not_before(self, at_ms: int, pump: int, watched: Watched) -> int:
        """What should have been said before the first span is said in it."""
        return max(at_ms, int(watched.from_ms[pump]) + 1)


class _Stall:
    """How long, and how much, a rotor has not followed."""

    def __init__(self) -> None:
        self.missed_ul, self.still_ms, self.turned_ms = 0.0, 0, 0

    def follow(self, is_still: bool, asked_ul: float, spacing_ms: int) -> bool:  # noqa: FBT001
        """Take in one span; true if by now it is a stall."""
        if not is_still:
            if asked_ul > 0:
                self.missed_ul, self.still_ms = 0.0, 0
                self.turned_ms += spacing_ms
            return False
        self.missed_ul += asked_ul
        self.still_ms += spacing_ms
        self.turned_ms = 0
        return self.missed_ul >= STALL_MISSED_UL and self.still_ms >= STALL_AT_LEAST_MS
