"""Did the service do what it promises? What was injected, beside what was raised and what reached the clinic. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

SILENCES: Final = frozenset({"silence", "site_silence"})


class Label(msgspec.Struct, frozen=True):
    """One thing that the fleet injected, decoys included (docs/simulators.md)."""

    pump_id: str
    fault: str
    onset_ms: int
    end_ms: int | None
    due_ms: int | None
    expected: list[str]
    allowed: list[str]
    announced: bool


class Raised(NamedTuple):
    """An alert as the API shows it."""

    alert_id: str
    pump_id: str
    condition: str
    priority: str
    state: str
    raised_ms: int
    found_late: bool
    told_by: str | None = None
    """The alert that tells of this one as well."""


class Told(NamedTuple):
    """A webhook that reached the clinic with a signature that it verified."""

    alert_id: str
    kind: str
    received_ms: int


class Fault(msgspec.Struct, frozen=True):
    """What became of one fault."""

    pump_id: str
    fault: str
    due: bool
    missing: list[str]
    """Conditions that it should have raised and did not."""
    untold: list[str]
    """Conditions that it raised and the clinic did not hear of, although it should have."""
    alert_ids: list[str]

    @property
    def well(self) -> bool:
        return not self.due or not (self.missing or self.untold)


class Judgement(msgspec.Struct, frozen=True):
    faults: list[Fault]
    false_alerts: list[Raised]

    @property
    def well(self) -> bool:
        return all(fault.well for fault in self.faults) and not self.false_alerts

    def problems(self) -> list[str]:
        """One line for each thing that went wrong."""
        lines = []
        for fault in self.faults:
            if not fault.well:
                lines += [f"{fault.pump_id}: {fault.fault} is due and raised no {name}" for name in fault.missing]
                lines += [f"{fault.pump_id}: the clinic was not told of {name}" for name in fault.untold]
        lines += [
            f"{alert.pump_id}: {alert.condition} was raised, and nothing is wrong there" for alert in self.false_alerts
        ]
        return lines


def before_the_end(alerts: Iterable[Raised], ended_ms: int) -> list[Raised]:
    """The silence of pumps and sites after the fleet has ended is its end, and tells nothing."""
    return [alert for alert in alerts if not (alert.condition in SILENCES and alert.raised_ms > ended_ms)]


def judge(labels: Sequence[Label], alerts: Iterable[Raised], told: Iterable[Told], ended_ms: int) -> Judgement:
    """Compare. `ended_ms` is when the fleet ended: a fault due later is not due."""
    by_pump: dict[str, dict[str, list[Raised]]] = {}
    seen = before_the_end(alerts, ended_ms)
    for alert in seen:
        by_pump.setdefault(alert.pump_id, {}).setdefault(alert.condition, []).append(alert)
    activated = {each.alert_id for each in told if each.kind == "alert.activated"}
    faults = [_fault(label, by_pump.get(label.pump_id, {}), activated, ended_ms) for label in labels]
    may: dict[str, set[str]] = {}
    for label in labels:  # a pump may have several
        may.setdefault(label.pump_id, set()).update(label.expected, label.allowed)
    return Judgement(faults, [alert for alert in seen if alert.condition not in may.get(alert.pump_id, set())])


def _fault(label: Label, raised: Mapping[str, Sequence[Raised]], activated: set[str], ended_ms: int) -> Fault:
    alerts = {name: raised.get(name, []) for name in label.expected}
    missing = [name for name, found in alerts.items() if not found]
    untold = [
        name for name, found in alerts.items() if found and label.announced and activated.isdisjoint(_tells(found))
    ]
    due = label.due_ms is not None and label.due_ms <= ended_ms
    ids = [alert.alert_id for found in alerts.values() for alert in found]
    return Fault(label.pump_id, label.fault, due, missing, untold, ids)


def _tells(found: Iterable[Raised]) -> set[str]:
    """The alerts by any of which a clinician hears of these."""
    return {name for alert in found for name in (alert.alert_id, alert.told_by) if name is not None}
