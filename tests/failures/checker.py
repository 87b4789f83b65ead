"""Was anything lost, doubled or made up? What the fleet said, beside what is stored and what an oracle finds. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tests.failures.said import Item, Said
from tests.failures.stored import Raised, Row, Stored

SHOWN = 3
STORED_PRECISION_ML_D = 1e-4


class Label(msgspec.Struct, frozen=True):
    """One thing that the fleet has injected (docs/simulators.md)."""

    pump_id: str
    fault: str
    due_ms: int | None
    expected: list[str]
    allowed: list[str]


class Finding(msgspec.Struct, frozen=True):
    """One episode that a run without any crash finds in the same readings."""

    pump_id: str
    condition: str
    detected_position: int
    began_ms: int
    ended_ms: int | None


class Verdict(NamedTuple):
    """What is wrong, by kind; each a list of what it is wrong with."""

    lost: list[object]
    let_go: list[object]
    not_receipted: list[object]
    receipted_unstored: list[object]
    stored_twice: list[object]
    never_measured: list[object]
    altered: list[object]
    due_missing: list[object]
    due_twice: list[object]
    false_alerts: list[object]
    other_than_oracle: list[object]
    unannounced: list[object]

    @property
    def problems(self) -> list[str]:
        """One line a kind; empty when all is well."""
        return [
            f"{kind}: {len(found)}, as {', '.join(map(str, found[:SHOWN]))}"
            for kind, found in self._asdict().items()
            if found
        ]


def check(said: Said, stored: Stored, labels: Sequence[Label], oracle: Sequence[Finding], ended_ms: int) -> Verdict:
    """Compare. `ended_ms` is the pump time at which the fleet ended: what is due later is not due."""
    rows = Counter((row.pump_id, row.position) for row in stored.rows)
    measured = {(pump_id, position) for pump_id, items in said.measured.items() for position in items}
    raised = [alert for alert in stored.raised if not alert.withdrawn]
    count = Counter((alert.pump_id, alert.condition) for alert in raised)
    due = {
        (label.pump_id, condition)
        for label in labels
        if label.due_ms is not None and label.due_ms <= ended_ms
        for condition in label.expected
    }
    may = {label.pump_id: {*label.expected, *label.allowed} for label in labels}
    covered = set(said.covered())
    return Verdict(
        lost=sorted(measured - rows.keys()),
        let_go=[said.let_go] if said.let_go else [],
        not_receipted=sorted(measured - covered),
        receipted_unstored=sorted(covered - rows.keys()),
        stored_twice=sorted(key for key, times in rows.items() if times > 1),
        never_measured=sorted(rows.keys() - measured),
        altered=_altered(said.measured, stored.rows),
        due_missing=sorted(due - count.keys()),
        due_twice=sorted(key for key in due if count[key] > 1),
        false_alerts=[alert for alert in raised if alert.condition not in may.get(alert.pump_id, ())],
        other_than_oracle=_differences(raised, oracle),
        unannounced=[alert for alert in stored.raised if alert.unannounced],
    )


def uncovered(said: Said, stored_through: Mapping[str, int]) -> list[str]:
    """The pumps of which a receipt covers more than is stored. Positions are dense, so counting is enough."""
    promised = Counter(pump_id for pump_id, _ in said.covered())
    return [
        f"{pump_id}: {count} receipted, {stored_through.get(pump_id, 0)} stored"
        for pump_id, count in promised.items()
        if stored_through.get(pump_id, 0) < count
    ]


def _altered(measured: Mapping[str, Mapping[int, Item]], rows: Iterable[Row]) -> list[object]:
    return [
        (row.pump_id, row.position, was, row.item)
        for row in rows
        if (was := measured.get(row.pump_id, {}).get(row.position)) and not _same(was, row.item)
    ]


def _same(measured: Item, stored: Item) -> bool:
    if measured.flow_ml_d is None or stored.flow_ml_d is None:
        return measured == stored
    return measured.time_ms == stored.time_ms and abs(measured.flow_ml_d - stored.flow_ml_d) <= STORED_PRECISION_ML_D


def _differences(raised: Collection[Raised], oracle: Iterable[Finding]) -> list[object]:
    """Onsets that only one of the two has, or that one has more often; and conditions that hold in only one."""
    found = sorted(oracle, key=lambda each: each.detected_position)
    raised = [_as_in_order(alert, found) for alert in raised]
    ours = Counter((alert.pump_id, alert.condition, onset) for alert in raised for onset in alert.onsets)
    theirs = Counter((each.pump_id, each.condition, each.detected_position) for each in found)
    differ: list[object] = [("not in the oracle", *key) for key in (ours - theirs).elements()]
    differ += [("only in the oracle", *key) for key in (theirs - ours).elements()]
    last_ours = {(alert.pump_id, alert.condition): alert.ended_ms for alert in raised}
    last_theirs = {(each.pump_id, each.condition): each.ended_ms for each in found}
    differ += [
        ("ended", *key, last_ours[key], "in the oracle", last_theirs[key])
        for key in last_ours.keys() & last_theirs.keys()
        if last_ours[key] != last_theirs[key]
    ]
    return differ


def _as_in_order(alert: Raised, found: Iterable[Finding]) -> Raised:
    """An episode that was over before its gap closed stands as it was found; it must be one that the oracle finds."""
    if not alert.behind_a_gap or alert.ended_ms is None:
        return alert
    for each in found:
        same = (each.pump_id, each.condition) == (alert.pump_id, alert.condition)
        over = each.ended_ms is not None and each.began_ms <= alert.ended_ms and alert.began_ms <= each.ended_ms
        if same and over:
            return alert._replace(onsets=(each.detected_position,), ended_ms=each.ended_ms)
    return alert
