"""The score: what counts as detected, as false, as clean time."""

import pytest

from simulators.faults import HOUR_MS
from simulators.labels import Label
from simulators.score import Finding, Score, Tried
from simulators.scorecard import told

START = 1_767_225_600_000


def label(pump_id: str = "a", fault: str = "stall", onset_h: float = 100.0, **changes: object) -> Label:
    onset_ms = START + round(onset_h * HOUR_MS)
    given: dict[str, object] = {
        "pump_id": pump_id,
        "site": "north",
        "fault": fault,
        "onset_ms": onset_ms,
        "end_ms": None,
        "counts_from_ms": onset_ms,
        "earliest_ms": onset_ms,
        "due_ms": onset_ms + HOUR_MS,
        "expected": ["stall"],
        "allowed": ["refill_mismatch"],
        "deviation": -1.0,
    }
    return Label(**given | changes)  # type: ignore[arg-type]


def finding(pump_id: str = "a", condition: str = "stall", at_h: float = 100.5, **changes: object) -> Finding:
    at_ms = START + round(at_h * HOUR_MS)
    given: dict[str, object] = {"priority": "high", "began_ms": at_ms, "detected_ms": at_ms}
    return Finding(pump_id, condition, **given | changes)  # type: ignore[arg-type]


def scored(labels: list[Label], findings: list[Finding], pumps: str = "ab") -> Score:
    score = Score()
    score.add(
        Tried(
            labels=labels,
            findings=findings,
            models=dict.fromkeys(pumps, "rotor"),
            program_ml_d=dict.fromkeys(pumps, 0.5),
            start_ms=START,
            hours=1000.0,
            interval_s=60.0,
        )
    )
    return score


def test_a_fault_is_detected_by_all_that_it_must_raise_and_its_delay_ends_with_the_first() -> None:
    both = label(expected=["stall", "telemetry_lock"])
    result = told(scored([both], [finding(), finding(condition="telemetry_lock", at_h=103)]), drift_tau_h=6)
    stall = result["faults"]["stall"]
    assert (stall["injected"], stall["due"], stall["detected"], stall["missed"]) == (1, 1, 1, 0)
    assert stall["median_delay_h"] == pytest.approx(0.5)
    assert stall["median_wrong_ul"] == pytest.approx(0.5 * 0.5 * 1000 / 24, rel=1e-3)
    assert stall["bound_h"] == pytest.approx(0.48 + 2 / 60, rel=1e-3)
    assert told(scored([both], [finding()]), drift_tau_h=6)["faults"]["stall"]["missed"] == 1


def test_what_no_label_of_the_pump_expects_or_allows_is_false() -> None:
    score = scored(
        [label()],
        [
            finding(),
            finding(condition="refill_mismatch", at_h=400),
            finding(at_h=90),  # before the onset
            finding("b"),
            finding("b", "clock_off", priority="low"),
            finding("b", "silence", inhibited=True),
            finding("b", "stall", shadow=True),
        ],
    )
    assert dict(score.false) == {("rotor", "stall", "high"): 2, ("rotor", "clock_off", "low"): 1}
    rates = told(score, drift_tau_h=6)["false_alerts_per_pump_year"]
    years = (100 + 1000) / 8766
    assert rates["high_medium"]["rate"] == pytest.approx(2 / years, rel=1e-3)
    assert rates["high_medium"]["upper_95"] == pytest.approx(6.296 / years, rel=1e-3)


def test_a_decoy_is_health_and_an_alert_for_it_false() -> None:
    score = scored([label(fault="bolus", expected=[], allowed=[], due_ms=None)], [finding()])
    assert score.clean_hours == {"rotor": 2000.0}
    assert score.false_of() == 1
    assert not score.outcomes


def test_what_cannot_be_seen_is_no_miss_and_what_is_not_due_is_neither_missed_nor_detected() -> None:
    leak = label(fault="catheter_leak", expected=[], observable=False, due_ms=None)
    short = label("b", due_ms=None)
    faults = told(scored([leak, short], []), drift_tau_h=6)["faults"]
    assert (faults["catheter_leak"]["not_observable"], faults["catheter_leak"]["missed"]) == (1, 0)
    assert (faults["stall"]["due"], faults["stall"]["missed"]) == (0, 0)


def test_a_site_that_falls_silent_is_found_by_the_alert_of_the_site() -> None:
    outage = label(fault="site_outage", expected=["site_silence"], allowed=["silence"], deviation=None)
    score = scored([outage], [finding("", "site_silence", subject="site:north")])
    assert score.outcomes["site_outage", "rotor"].detected == 1
    assert not score.false
    elsewhere = scored([outage], [finding("", "site_silence", subject="site:south")])
    assert elsewhere.false_of() == 1


def test_chatter_and_floods_are_counted() -> None:
    trembling = [finding("a", "stall", at_h=10 + 0.2 * number) for number in range(3)]
    assert scored([], trembling).chattering == 1
    flood = [finding("a", f"condition {number}", at_h=10 + 0.01 * number) for number in range(10)]
    assert (scored([], flood).chattering, scored([], flood).floods) == (0, 1)
