"""A score as a page of the documentation, made of its JSON alone: what is committed can be compared with it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulators.expected import CONDITIONS, shown
from simulators.faults import Kind

_PAGE: Final = """\
# The score of the default rulebook

Written by `pumpsim score --page`; simulation, not for clinical use. docs/simulators.md says how the fleet is
simulated, what makes a fault due and how its delay is counted.

Code of {revision}, rulebook `{rulebook_version}`, seed {seed}, a reading every {interval_s:g} s, slow noise of the
flow sensor with τ {drift_tau_h:g} h: {pump_hours:,.0f} pump-hours, of which {clean_hours:,.0f} free of faults.

## False alerts

{rates}

{alerts:,} alerts in all, {alerts_per_pump_day:.4f} a pump-day, most of them injected; {chattering} chattering
conditions, {floods} floods. Where faults come as often as in the field ({true_alerts_per_pump_year:.3f} a pump-year
that can be seen), {precision:.0%} of the alerts of high or medium priority are right, and
{precision_at_upper_95:.0%} at the upper limit of the false ones.

## Faults

Delays run from the moment from which the fault counts. The bound is what can be reached at best: V_m/q and two
readings for a stall, the exact CUSUM at the upper limit of the false rate for a shift, else the first reading that
shows it. The cap of the sustained rules costs up to two hours beside the bound.

{faults}
"""


def page(result: Mapping[str, Any]) -> str:
    """The Markdown of `docs/score.md`."""
    return _PAGE.format(
        **result["burden"],
        **result["precision_at_field_rates"],
        **{
            key: result[key]
            for key in ("revision", "rulebook_version", "seed", "interval_s", "drift_tau_h", "pump_hours")
        },
        clean_hours=sum(result["clean_pump_hours"].values()),
        rates="\n".join(_rates(result["false_alerts_per_pump_year"])),
        faults="\n".join(_faults(result["faults"])),
    )


def measured(result: Mapping[str, Any]) -> str:
    """What docs/rules.md says of each condition: how rarely it is false, how soon it tells of what must bring it."""
    none = result["none_false_upper_95"]
    rates = result["false_alerts_per_pump_year"]["by_condition"]
    cells = []
    for condition in CONDITIONS:
        rate = rates.get(condition, {"count": 0, "upper_95": none})
        brings = []
        for name, fault in result["faults"].items():
            for model, of in fault["by_model"].items():
                must, _ = shown(Kind(name), sensor=model == "sensor")
                if condition in must and of["due"]:
                    found = f"{of['detected']} of {of['due']} in {_number(of['median_delay_h'])} h"
                    brings.append(f"{name} ({model}) {found}, bound {_number(of['bound_h'])} h")
        cells.append((f"`{condition}`", f"{rate['count']}: {rate['upper_95']:.3f}", "; ".join(brings)))
    return "\n".join(
        _table(("condition", "false, a pump-year at most", "what must bring it: found, median delay"), cells)
    )


def _rates(false: Mapping[str, Any]) -> list[str]:
    rows = [("high and medium", false["high_medium"]), ("low", false["low"])]
    for model, of in false["by_model"].items():
        rows += [(f"{model} pumps, high and medium", of["high_medium"]), (f"{model} pumps, low", of["low"])]
    rows += [(f"`{condition}`", rate) for condition, rate in false["by_condition"].items()]
    cells = []
    for name, rate in rows:
        low, high = rate["limits_95"]
        limits = f"{low:.4f} to {high:.4f}"
        cells.append((name, str(rate["count"]), f"{rate['rate']:.4f}", limits, f"{rate['upper_95']:.4f}"))
    return _table(("", "count", "a pump-year", "95 % limits", "upper 95 % limit"), cells)


def _faults(faults: Mapping[str, Any]) -> list[str]:
    cells = []
    for name, fault in faults.items():
        for model, of in fault["by_model"].items():
            numbers = (of[key] for key in ("median_delay_h", "bound_h", "delay_over_bound", "median_wrong_ul"))
            counts = (of[key] for key in ("injected", "due", "detected", "missed", "not_observable"))
            cells.append((f"`{name}`", model, *map(str, counts), *map(_number, numbers)))
    head = ("fault", "model", "injected", "due", "detected", "missed", "cannot be seen")
    return _table((*head, "median delay, h", "bound, h", "ratio", "wrong volume, µL"), cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
