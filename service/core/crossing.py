"""What decided an alert? Which of its statistics crossed which limit, and which quantity shows it in a chart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.core.change import Condition
from service.core.limits import LIMITS

LIMIT_: Final = "limit_"
"""What the name of a limit begins with in the evidence."""

_LEVEL: Final = frozenset(
    {Condition.RESERVOIR_LOW, Condition.RESERVOIR_EMPTY, Condition.REFILL_MISMATCH, Condition.LEVEL_DEVIATION}
)
_VOLTAGE: Final = frozenset({Condition.BATTERY_LOW, Condition.BATTERY_END, Condition.BATTERY_RESET})
CROSSED: Final[Mapping[Condition, Sequence[tuple[str, str]]]] = {
    Condition.STALL: (("missed_ul", "missed_ul"),),
    Condition.OVER_DELIVERY_GROSS: (("sum", "decision"),),
    Condition.UNDER_DELIVERY_GROSS: (("sum", "decision"),),
    Condition.OVER_DELIVERY: (("cusum", "decision"),),
    Condition.UNDER_DELIVERY: (("cusum", "decision"),),
    Condition.RESERVOIR_LOW: (("empty_in_d", "low_d"), ("left_ml", "low_volume_ml")),
    Condition.RESERVOIR_EMPTY: (("left_ml", "volume_ml"),),
}
"""Which statistic of the evidence is compared with which limit of the condition."""


class LimitSaid(NamedTuple):
    name: str
    """As in the rulebook, without its section."""
    value: float
    unit: str
    meaning: str


class Crossing(NamedTuple):
    statistic: str
    value: float
    limit: str
    limit_value: float
    unit: str


def quantity_of(condition: Condition) -> str:
    """The column of the readings that tells of it."""
    if condition in _LEVEL:
        return "reservoir_ml"
    return "battery_v" if condition in _VOLTAGE else "flow_ml_d"


def limits_in(condition: Condition, evidence: Mapping[str, Any]) -> Iterator[LimitSaid]:
    """Yield the limits that were in force for the pump when it was decided."""
    for name, value in evidence.items():
        limit = LIMITS.get(condition, {}).get(name.removeprefix(LIMIT_)) if name.startswith(LIMIT_) else None
        if limit is not None and isinstance(value, int | float):
            yield LimitSaid(name.removeprefix(LIMIT_), float(value), limit.unit, limit.meaning)


def statistics_in(evidence: Mapping[str, Any]) -> dict[str, float | str]:
    """Everything else that was kept; times are in ms since 1970, UTC."""
    return {
        name: value
        for name, value in evidence.items()
        if not name.startswith(LIMIT_) and isinstance(value, int | float | str) and not isinstance(value, bool)
    }


def crossings_in(condition: Condition, evidence: Mapping[str, Any]) -> Iterator[Crossing]:
    for statistic, limit in CROSSED.get(condition, ()):
        value, against = evidence.get(statistic), evidence.get(f"{LIMIT_}{limit}")
        if isinstance(value, int | float) and isinstance(against, int | float):
            yield Crossing(statistic, float(value), limit, float(against), LIMITS[condition][limit].unit)
