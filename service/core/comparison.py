"""What would change? The findings of one rulebook beside those of another, over the same readings."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from service.core.backtest import Finding

SAME_WITHIN_MS = 86_400_000
"""Findings of one pump and condition that lie further apart tell of different episodes."""


class Row(msgspec.Struct):
    """One condition. `sooner_by_s`: how much sooner this rulebook finds what both find, in the median."""

    condition: str
    this: int
    other: int
    only_this: int
    only_other: int
    sooner_by_s: float | None


class Compared(msgspec.Struct):
    conditions: list[Row]
    only_this: list[Finding]
    only_other: list[Finding]


def compare(this: Sequence[Finding], other: Sequence[Finding]) -> Compared:
    """Pair what both have found: each finding with the nearest one of its pump and condition that is free."""
    told, beside = ([each for each in found if not each.shadow and not each.inhibited] for found in (this, other))
    free: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in beside:
        free[_episode(finding)].append(finding)
    only_this, sooner_s = [], defaultdict(list)
    for finding in told:
        near = min(
            free[_episode(finding)],
            key=lambda each, at=finding.detected_ms: abs(each.detected_ms - at),  # type: ignore[misc]
            default=None,
        )
        if near is None or abs(near.detected_ms - finding.detected_ms) > SAME_WITHIN_MS:
            only_this.append(finding)
            continue
        free[_episode(finding)].remove(near)
        sooner_s[finding.condition].append((near.detected_ms - finding.detected_ms) / 1000)
    only_other = [finding for left in free.values() for finding in left]
    rows = []
    for condition in sorted({finding.condition for finding in (*told, *beside)}):
        counts = [_count(condition, found) for found in (told, beside, only_this, only_other)]
        sooner = sooner_s.get(condition)
        sooner_by_s = float(np.median(sooner)) if sooner else None
        rows.append(Row(condition, counts[0], counts[1], counts[2], counts[3], sooner_by_s))
    return Compared(rows, only_this, sorted(only_other, key=lambda finding: finding.detected_ms))


def _count(condition: str, findings: Iterable[Finding]) -> int:
    return sum(finding.condition == condition for finding in findings)


def _episode(finding: Finding) -> tuple[str, str, str]:
    return finding.pump_id, finding.subject, finding.condition
