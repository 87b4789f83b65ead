"""When does a clinic refill a pump? The day of the next visit, as clinics plan it."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

DAY_MS: Final = 86_400_000
RESERVE_ML: Final = 2.0  # where the pump's own warning is set
AHEAD_D: Final = (3.0, 5.0)  # before that date
AT_MOST_D: Final = 180.0  # six months, however much is left
OPENS_H, CLOSES_H = 9.0, 16.0
FRIDAY: Final = 4


def due_ms(volume_ml: float, use_ml_d: float, now_ms: int, time_zone: str, chance: float) -> int:
    """When the pump is refilled next: on a working day, in opening hours; `chance` is 0 … 1."""
    ahead_d = AHEAD_D[0] + (AHEAD_D[1] - AHEAD_D[0]) * chance
    left_d = min((volume_ml - RESERVE_ML) / use_ml_d - ahead_d, AT_MOST_D)
    zone = ZoneInfo(time_zone)
    day = datetime.fromtimestamp(now_ms / 1000 + max(left_d, 1.0) * 86400, zone)
    if day.weekday() > FRIDAY and left_d > 1 + day.weekday() - FRIDAY:
        day -= timedelta(days=day.weekday() - FRIDAY)
    minutes = round((OPENS_H + (CLOSES_H - OPENS_H) * (chance * 7 % 1)) * 60)
    visit = day.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0)
    return max(round(visit.timestamp() * 1000), now_ms + DAY_MS // 24)
