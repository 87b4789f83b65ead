"""How good is a rulebook? What it found in a labelled fleet, against what was injected: scored as a diagnostic test is.

An alert is *false* where no label of its pump expects or allows it, from the label's onset on. A fault is *detected*
when every condition that it must raise was raised; its delay runs to the first of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from simulators.faults import DECOYS, HOUR_MS, MINUTE_MS, Kind
from simulators.labels import Label

HOURS_A_YEAR: Final = 8766.0
UL_AN_HOUR_AT_ONE_ML_D: Final = 1000 / 24
SEEN_EARLY_MS: Final = HOUR_MS  # an hour's statistic may begin in the hour before the onset

# Of an alert system as a whole (EEMUA 191, ISA-18.2): so often is too often.
CHATTER_TIMES, CHATTER_MS = 3, HOUR_MS
FLOOD_ALERTS, FLOOD_MS = 10, 10 * MINUTE_MS


class Finding(msgspec.Struct, frozen=True):
    """One alert as `pumpwatch rules backtest --json` tells of it."""

    pump_id: str
    condition: str
    priority: str
    began_ms: int
    detected_ms: int
    ended_ms: int | None = None
    subject: str = ""  # of what is no pump, as site:north
    shadow: bool = False
    inhibited: bool = False  # its site's alert tells of it


@dataclass(slots=True)
class Tried:
    """One stretch of a labelled fleet and what was found in it. `models` and `program_ml_d` are by pump id."""

    labels: Sequence[Label]
    findings: Sequence[Finding]
    models: Mapping[str, str]
    program_ml_d: Mapping[str, float]
    start_ms: int
    hours: float
    interval_s: float


class Seen(NamedTuple):
    """A fault that was detected in time."""

    label: Label
    delay_h: float
    program_ml_d: float
    interval_s: float

    @property
    def wrong_ul(self) -> float | None:
        """Drug too much or too little until then; None where the fault changes no volume."""
        if self.label.deviation is None:
            return None
        return self.delay_h * self.program_ml_d * UL_AN_HOUR_AT_ONE_ML_D * abs(self.label.deviation)


@dataclass(slots=True)
class Outcomes:
    """What became of one kind of fault, on one model."""

    injected: int = 0
    due: int = 0
    detected: int = 0  # of those that were due
    unseen: int = 0  # cannot be seen on this model
    undue_detected: int = 0
    missed: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)


@dataclass(slots=True)
class Score:
    """Sums over everything that was tried. `clean_hours` are those in which an alert would be false, by model."""

    pump_hours: float = 0.0
    clean_hours: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    false: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    """By (model, condition, priority)."""
    false_examples: list[Finding] = field(default_factory=list)
    outcomes: dict[tuple[str, str], Outcomes] = field(default_factory=lambda: defaultdict(Outcomes))
    """By (fault, model)."""
    alerts: int = 0
    chattering: int = 0
    floods: int = 0

    def add(self, tried: Tried) -> None:
        self.pump_hours += tried.hours * len(tried.models)
        labels: dict[str, list[Label]] = defaultdict(list)
        for label in tried.labels:
            labels[label.pump_id].append(label)
        found: dict[str, list[Finding]] = defaultdict(list)
        told = [finding for finding in tried.findings if not finding.shadow and not finding.inhibited]
        for finding in told:
            found[finding.subject or finding.pump_id].append(finding)
        for pump_id, model in tried.models.items():
            self.clean_hours[model] += _clean_hours(labels[pump_id], tried)
        for label in tried.labels:
            if Kind(label.fault) not in DECOYS:
                self._judge(label, [*found[label.pump_id], *found[f"site:{label.site}"]], tried)
        false = [finding for finding in told if not _explained(finding, labels, tried.labels)]
        for finding in false:
            model = tried.models.get(finding.pump_id, "site")
            self.false[model, finding.condition, finding.priority] += 1
        self.false_examples += false
        self.alerts += len(told)
        self.chattering += _chattering(told)
        self.floods += _gathers(sorted(finding.detected_ms for finding in false), FLOOD_ALERTS, FLOOD_MS)

    def false_of(self, *, models: Iterable[str] | None = None, priorities: Iterable[str] | None = None) -> int:
        return sum(
            count
            for (model, _, priority), count in self.false.items()
            if (models is None or model in models) and (priorities is None or priority in priorities)
        )

    @property
    def clean_years(self) -> float:
        return sum(self.clean_hours.values()) / HOURS_A_YEAR

    def _judge(self, label: Label, found: Sequence[Finding], tried: Tried) -> None:
        outcomes = self.outcomes[label.fault, label.model]
        outcomes.injected += 1
        if not label.observable:
            outcomes.unseen += 1
            return
        first = {
            condition: min(
                (each.detected_ms for each in found if each.condition == condition and _follows(label, each)),
                default=None,
            )
            for condition in label.expected
        }
        times = [at_ms for at_ms in first.values() if at_ms is not None]
        detected = len(times) == len(first) > 0
        if label.due_ms is None or label.due_ms > tried.start_ms + tried.hours * HOUR_MS:
            outcomes.undue_detected += detected
            return
        outcomes.due += 1
        outcomes.detected += detected
        if not detected:
            outcomes.missed.append(label.pump_id)
            return
        delay_h = max(min(times) - label.counts_from_ms, 0) / HOUR_MS
        outcomes.seen.append(Seen(label, delay_h, tried.program_ml_d[label.pump_id], tried.interval_s))


def _clean_hours(labels: Iterable[Label], tried: Tried) -> float:
    """The hours of a pump until its first fault: decoys are health."""
    onsets_ms = [label.onset_ms for label in labels if Kind(label.fault) not in DECOYS]
    until_ms = min(onsets_ms, default=tried.start_ms + tried.hours * HOUR_MS)
    return min(max((until_ms - tried.start_ms) / HOUR_MS, 0.0), tried.hours)


def _follows(label: Label, finding: Finding) -> bool:
    return finding.detected_ms >= label.onset_ms - SEEN_EARLY_MS


def _explained(finding: Finding, labels: Mapping[str, Sequence[Label]], of_all: Sequence[Label]) -> bool:
    """Whether a label of its pump, or of its site, expects or allows it."""
    site = finding.subject.removeprefix("site:")
    own = [label for label in of_all if label.site == site] if site else labels.get(finding.pump_id, ())
    return any(finding.condition in (*label.expected, *label.allowed) and _follows(label, finding) for label in own)


def _chattering(findings: Iterable[Finding]) -> int:
    """Conditions of a pump that were raised again and again within an hour."""
    raised: dict[tuple[str, str], list[int]] = defaultdict(list)
    for finding in findings:
        raised[finding.pump_id, finding.condition].append(finding.detected_ms)
    return sum(_gathers(sorted(times), CHATTER_TIMES, CHATTER_MS) for times in raised.values())


def _gathers(times_ms: Sequence[int], count: int, within_ms: int) -> bool:
    return any(later - earlier <= within_ms for earlier, later in zip(times_ms, times_ms[count - 1 :], strict=False))
