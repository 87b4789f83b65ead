"""`pumpwatch rules calibrate`: which decision limit keeps false alerts for sustained shifts as rare as is wanted?

Healthy sensor pumps are simulated hour by hour, with the recursion that the rule itself runs, in worlds whose slow
noise lasts for longer or shorter. The same draws serve every limit that is tried.
"""

import argparse
import sys
from typing import Final, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress

from service.core.limits import LIMITS
from service.core.rates import exact_limits, upper_limit
from service.core.rules.cusum import Design, Noise, false_alerts
from service.exits import EXIT_OK, EXIT_PROBLEMS

HOURS_A_YEAR: Final = 8766.0
HOURS: Final = 1_000
PUMPS_AT_ONCE: Final = 4_000
TRIED: Final = (0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.17, 0.20, 0.25, 0.30, 0.40, 0.50)


class Counted(NamedTuple):
    """What one limit gave in one world."""

    decision: float
    drift_tau_h: float
    alerts: int
    pump_years: float

    @property
    def upper(self) -> float:
        return upper_limit(self.alerts, self.pump_years)


def add_to(rules: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = rules.add_parser("calibrate", help="find the decision limit of sustained shifts for a false-alert rate")
    parser.add_argument(
        "--target", type=float, default=0.005, metavar="RATE", help="false alerts a sensor pump-year, 95 %% upper limit"
    )
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--pump-years", type=float, default=2_000.0, metavar="Y", help="simulated in each world")
    parser.add_argument(
        "--drift-tau-h", type=float, nargs="+", default=[6.0, 24.0], metavar="H", help="of the slow noise; a world each"
    )
    parser.set_defaults(run=_calibrate)


def _calibrate(arguments: argparse.Namespace) -> int:
    if not (arguments.target > 0 and arguments.pump_years >= 1 and min(arguments.drift_tau_h) > 0):
        print("pumpwatch: --target, --pump-years (at least 1) and --drift-tau-h must be above 0", file=sys.stderr)
        return EXIT_PROBLEMS
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating healthy pumps", total=len(TRIED) * len(arguments.drift_tau_h))
        low, high, found = 0, len(TRIED), {}
        while low < high:  # the rate falls as the limit grows
            middle = (low + high) // 2
            worlds = [_count(TRIED[middle], tau_h, arguments) for tau_h in arguments.drift_tau_h]
            found[middle] = worlds
            progress.advance(task, len(worlds))
            low, high = (low, middle) if all(each.upper <= arguments.target for each in worlds) else (middle + 1, high)
    if low == len(TRIED):
        print(f"pumpwatch: no limit up to {TRIED[-1]} reaches {arguments.target} a sensor pump-year", file=sys.stderr)
        return EXIT_PROBLEMS
    print(_toml(found[low], arguments))
    return EXIT_OK


def _count(decision: float, drift_tau_h: float, arguments: argparse.Namespace) -> Counted:
    limits = LIMITS["over_delivery"]
    design = Design(
        limits["reference"].default, decision, min(limits["cap"].default, decision / 2), limits["clear_hours"].default
    )
    pumps = max(round(arguments.pump_years * HOURS_A_YEAR / HOURS), 1)
    draws = np.random.default_rng([arguments.seed, round(drift_tau_h * 1000)])
    alerts = 0.0
    for first in range(0, pumps, PUMPS_AT_ONCE):
        some = min(PUMPS_AT_ONCE, pumps - first)
        bias = draws.standard_normal(some)
        white, drift = draws.standard_normal((HOURS, some)), draws.standard_normal((HOURS, some))
        alerts += float(false_alerts(design, Noise(drift_tau_h=drift_tau_h), bias, white, drift).sum())
    return Counted(decision, drift_tau_h, round(alerts), pumps * HOURS / HOURS_A_YEAR)


def _toml(worlds: list[Counted], arguments: argparse.Namespace) -> str:
    """What to put into a rulebook, with where it comes from."""
    decision = worlds[0].decision
    cap = min(LIMITS["over_delivery"]["cap"].default, decision / 2)
    years = arguments.pump_years
    lines = [
        f"# pumpwatch rules calibrate --target {arguments.target:g} --seed {arguments.seed} --pump-years {years:g}",
        "# hourly deviations of healthy sensor pumps, both sides; false alerts a pump-year, exact 95 % limits:",
    ]
    for each in worlds:
        low, high = exact_limits(each.alerts, each.pump_years)
        rate = each.alerts / each.pump_years
        lines.append(
            f"# slow noise of {each.drift_tau_h:g} h: {rate:.4f} ({low:.4f} to {high:.4f}; upper {each.upper:.4f}),"
            f" {each.alerts} in {each.pump_years:,.0f}"
        )
    for side in ("over_delivery", "under_delivery"):
        lines += [f"[{side}]", f"decision = {decision:g}", f"cap = {cap:g}"]
    return "\n".join(lines)
