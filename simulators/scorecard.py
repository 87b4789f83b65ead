"""A score as a person reads it and the documentation keeps it: rates with their limits, delays beside their bounds."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import Any, Final

from rich.table import Table

from simulators.bounds import effective_sd, rate_limits, shift_delay_h, stall_delay_h, upper_rate
from simulators.faults import Kind
from simulators.labels import REJECT
from simulators.score import HOURS_A_YEAR, Outcomes, Score, Seen

ACCEPT: Final = 0.145  # the labelled accuracy: a healthy pump's edge
# Of an hour's mean flow on a sensor pump, of the program: white noise of a minute's reading over sixty, and the drift.
WHITE_SD: Final = 0.15 / 60**0.5
DRIFT_SD: Final = 0.03
ROTOR_SD: Final = 0.01  # steps are counted; what is left is rounding

_STALLS: Final = frozenset({Kind.STALL, Kind.OCCLUSION, Kind.MRI_LATE})
_SHIFTS: Final = frozenset({Kind.OVER_DELIVERY, Kind.OVER_INFUSION, Kind.UNDER_DELIVERY, Kind.OCCLUSION_PARTIAL})

# How often each comes in the field, a pump and year (docs/simulators.md, "Hazards"): what a rate of false alerts means
# for a person who gets an alert depends on it.
FIELD_RATE_A_YEAR: Final = {
    Kind.STALL: 0.0046,
    Kind.OVER_DELIVERY: 0.0002,
    Kind.POCKET_FILL: 0.0004,
    Kind.BATTERY_RESET: 0.0001,
    Kind.OCCLUSION: 0.05,
    Kind.OCCLUSION_PARTIAL: 0.05,
}


def told(score: Score, *, drift_tau_h: float) -> dict[str, Any]:
    """The score as JSON."""
    years = score.clean_years
    high_medium, low = ("high", "medium"), ("low",)
    return {
        "pump_hours": round(score.pump_hours, 1),
        "clean_pump_hours": {model: round(hours, 1) for model, hours in sorted(score.clean_hours.items())},
        "false_alerts_per_pump_year": {
            "high_medium": _rate(score.false_of(priorities=high_medium), years),
            "low": _rate(score.false_of(priorities=low), years),
            "by_model": {
                model: {
                    "high_medium": _rate(score.false_of(models=(model,), priorities=high_medium), hours / HOURS_A_YEAR),
                    "low": _rate(score.false_of(models=(model,), priorities=low), hours / HOURS_A_YEAR),
                }
                for model, hours in sorted(score.clean_hours.items())
                if hours
            },
            "by_condition": _by_condition(score),
        },
        "none_false_upper_95": _short(upper_rate(0, max(years, 1e-9))),
        "faults": {
            fault: _fault(score, [of for (name, _), of in score.outcomes.items() if name == fault], drift_tau_h)
            | {
                "by_model": {
                    model: _fault(score, [of], drift_tau_h)
                    for (name, model), of in sorted(score.outcomes.items())
                    if name == fault
                }
            }
            for fault in sorted({fault for fault, _ in score.outcomes})
        },
        "precision_at_field_rates": _precision(score),
        "burden": {
            "alerts": score.alerts,
            "alerts_per_pump_day": round(score.alerts / max(score.pump_hours / 24, 1e-9), 5),
            "chattering": score.chattering,
            "floods": score.floods,
        },
        "false_examples": score.false_examples[:50],
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """The same for a terminal."""
    rates = Table("false alerts", "count", "a pump-year", "95 % limits", "upper 95 %", title="False alerts")
    false = result["false_alerts_per_pump_year"]
    rows = [("high and medium", false["high_medium"]), ("low", false["low"]), *false["by_condition"].items()]
    for name, rate in rows:
        low, high = rate["limits_95"]
        rates.add_row(
            name, str(rate["count"]), f"{rate['rate']:.4f}", f"{low:.4f} - {high:.4f}", f"{rate['upper_95']:.4f}"
        )
    faults = Table(
        *("fault", "model", "injected", "due", "detected", "missed", "cannot be seen"),
        *("median delay, h", "bound, h", "ratio", "volume, uL"),
        title="Faults",
    )
    for name, fault in result["faults"].items():
        for model, of in fault["by_model"].items():
            faults.add_row(
                *(name, model),
                *(str(of[key]) for key in ("injected", "due", "detected", "missed", "not_observable")),
                *(_number(of[key]) for key in ("median_delay_h", "bound_h", "delay_over_bound", "median_wrong_ul")),
            )
    return [rates, faults]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _rate(count: int, years: float) -> dict[str, Any]:
    years = max(years, 1e-9)
    low, high = rate_limits(count, years)
    return {
        "count": count,
        "rate": _short(count / years),
        "limits_95": [_short(low), _short(high)],
        "upper_95": _short(upper_rate(count, years)),
    }


def _by_condition(score: Score) -> dict[str, Any]:
    counts: dict[str, int] = defaultdict(int)
    for (_, condition, _), count in score.false.items():
        counts[condition] += count
    return {condition: _rate(count, score.clean_years) for condition, count in sorted(counts.items())}


def _fault(score: Score, several: Sequence[Outcomes], drift_tau_h: float) -> dict[str, Any]:
    seen = [each for outcomes in several for each in outcomes.seen]
    wrong_ul = [each.wrong_ul for each in seen if each.wrong_ul is not None]
    delay_h = median([each.delay_h for each in seen]) if seen else None
    bounds_h = [_bound_h(each, score, drift_tau_h) for each in seen]
    ratios = [each.delay_h / bound_h for each, bound_h in zip(seen, bounds_h, strict=True)]
    missed = [pump_id for outcomes in several for pump_id in outcomes.missed]
    return {
        "injected": sum(outcomes.injected for outcomes in several),
        "due": sum(outcomes.due for outcomes in several),
        "detected": sum(outcomes.detected for outcomes in several),
        "missed": len(missed),
        "missed_examples": missed[:10],
        "not_observable": sum(outcomes.unseen for outcomes in several),
        "median_delay_h": None if delay_h is None else _short(delay_h),
        "bound_h": _short(median(bounds_h)) if seen else None,
        "delay_over_bound": _short(median(ratios)) if seen else None,
        "median_wrong_ul": _short(median(wrong_ul)) if wrong_ul else None,
    }


def _bound_h(seen: Seen, score: Score, drift_tau_h: float) -> float:
    """What could be reached at best; for what an event or a clock says, the reading after it."""
    label = seen.label
    kind = Kind(label.fault)
    if kind in _STALLS and kind is not Kind.MRI_LATE:
        return stall_delay_h(seen.program_ml_d, seen.interval_s)
    if kind in _SHIFTS and label.deviation is not None:
        sensor = label.model == "sensor"
        sd = effective_sd(WHITE_SD, DRIFT_SD, drift_tau_h) if sensor else ROTOR_SD
        false_a_year = upper_rate(score.false_of(priorities=("high", "medium")), max(score.clean_years, 0.01))
        shift = max(abs(label.deviation), REJECT)
        return _shift_bound_h(round(shift, 2), round(sd, 4), float(f"{false_a_year / HOURS_A_YEAR:.2g}"))
    earliest_ms = label.counts_from_ms if label.earliest_ms is None else label.earliest_ms
    return max((earliest_ms - label.counts_from_ms) / 1000, seen.interval_s) / 3600


@lru_cache(maxsize=1000)
def _shift_bound_h(shift: float, sd: float, false_alerts_an_hour: float) -> float:
    return shift_delay_h(shift, accept=ACCEPT, reject=REJECT, sd=sd, false_alerts_an_hour=false_alerts_an_hour)


def _precision(score: Score) -> dict[str, Any]:
    """Of a hundred alerts of high or medium priority, how many would be right where faults come as in the field."""
    false_a_year = score.false_of(priorities=("high", "medium")) / max(score.clean_years, 1e-9)
    worst_a_year = upper_rate(score.false_of(priorities=("high", "medium")), max(score.clean_years, 1e-9))
    right_a_year = 0.0
    for kind, rate in FIELD_RATE_A_YEAR.items():
        several = [outcomes for (fault, _), outcomes in score.outcomes.items() if fault == kind]
        injected = sum(outcomes.injected for outcomes in several)
        right_a_year += rate * sum(outcomes.detected for outcomes in several) / injected if injected else 0.0
    return {
        "true_alerts_per_pump_year": _short(right_a_year),
        "precision": _short(_share(right_a_year, false_a_year)),
        "precision_at_upper_95": _short(_share(right_a_year, worst_a_year)),
    }


def _share(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong else 0.0


def _short(value: float) -> float:
    return float(f"{value:.4g}")
