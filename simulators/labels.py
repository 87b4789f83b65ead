"""What was injected, when can it be seen, and by when must it have been noticed? The answers that a score needs.

What the service promises is said here on its own: labels that asked the rules would agree with them.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from simulators.acts import MONTH_MS, cap_boluses, flutter, lock_falls_silent_ms, stall_shows_ms
from simulators.expected import shown
from simulators.faults import DAY_MS, DECOYS, HOUR_MS, MINUTE_MS, MRI_MS, Fault, Kind, Timeline, length_ms
from simulators.fleet import Implant

REJECT: Final = 0.30
"""A sustained shift counts from the hour in which the true deviation, bias included, passes this."""
SHIFT_BOUND_MS: Final = 2 * HOUR_MS
DUE_AFTER_BOUNDS: Final = 5  # a shift is due once it has stayed beyond the reject level for so many bounds
GROSS: Final = 0.6  # of the program; half of it, and noise enough to tell
GROSS_READINGS: Final = 3
NEARLY_EMPTY_ML: Final = 0.2
MRI_HOLD_MS: Final = 90 * MINUTE_MS
LOCKED_MS: Final = 2 * HOUR_MS
STOPPED_LONG_MS: Final = DAY_MS
DENIALS: Final = 3
SILENT_INTERVALS: Final = 3
SILENT_AT_LEAST_MS: Final = 20_000
SILENCE_IN_HAND_MS: Final = 5_000

_SHIFTS: Final = frozenset({Kind.OVER_INFUSION, Kind.OVER_DELIVERY, Kind.UNDER_DELIVERY, Kind.OCCLUSION_PARTIAL})
_STAYS: Final = frozenset(
    {
        *(Kind.POCKET_FILL, Kind.BATTERY_RESET, Kind.PROGRAM_UNAUTHORISED, Kind.BOLUS_CAP, Kind.BOLUS_DENIED),
        *(Kind.CLOCK_JUMP, Kind.MEMORY_ERROR, Kind.CORRUPTED, Kind.LOST, Kind.FREE_FLOW, Kind.EARLY_EMPTY),
    }
)
"""Over in a while, and still to be noticed: their trace is in the stream for good."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What was injected into one pump: docs/simulators.md says what each field means."""

    pump_id: str
    site: str = ""
    model: str = "rotor"
    fault: str
    onset_ms: int
    end_ms: int | None
    counts_from_ms: int
    earliest_ms: int | None
    due_ms: int | None
    expected: list[str] = msgspec.field(default_factory=list)
    allowed: list[str] = msgspec.field(default_factory=list)
    observable: bool = True
    announced: bool = False
    injected: bool = True  # False: it came about in the run, as it does in a healthy fleet
    deviation: float | None = None  # of the true flow, of the program, once it is due; None: no volume is wrong


def labels_of(faults: Sequence[Fault], fleet: Sequence[Implant], timeline: Timeline) -> list[Label]:
    """The labels in order of onset: one a fault; what one pump has several times of a decoy is one."""
    labels: list[Label] = []
    seen: dict[tuple[int, Kind], int] = {}
    outages: set[str] = set()
    for fault in sorted(faults, key=lambda each: (each.onset_ms, each.pump)):
        known = seen.get((fault.pump, fault.kind))
        if known is not None and fault.kind in DECOYS:
            labels[known] = msgspec.structs.replace(labels[known], end_ms=fault.end_ms)
            continue
        seen[fault.pump, fault.kind] = len(labels)
        label = label_of(fault, fleet[fault.pump], timeline)
        if fault.kind is Kind.SITE_OUTAGE and label.site in outages:  # one alert for the site, not one a pump
            allowed = [*label.expected, *label.allowed]
            label = msgspec.structs.replace(label, expected=[], allowed=allowed, due_ms=None)
        outages |= {label.site} if fault.kind is Kind.SITE_OUTAGE else set()
        labels.append(label)
    return labels


def label_of(fault: Fault, implant: Implant, timeline: Timeline) -> Label:
    """The label of one fault or decoy, from what is known before the run; see `Simulation.labels` for the rest."""
    must, may = shown(fault.kind, sensor=implant.sensor)
    if fault.kind is Kind.LINK_GAP and length_ms(fault) >= shows_after_ms(Kind.SILENCE, implant):
        may = ("silence",)
    counts_from_ms, earliest_ms, due_ms = _times(fault, implant, timeline) if must else (fault.onset_ms, None, None)
    too_soon_over = due_ms is not None and fault.kind not in _STAYS and fault.over_by(due_ms - 1)
    return Label(
        pump_id=implant.pump_id,
        site=implant.site,
        model="sensor" if implant.sensor else "rotor",
        fault=fault.kind,
        # What a missed refill leads to begins long before the reservoir is empty.
        onset_ms=min(fault.onset_ms, timeline.start_ms) if fault.kind is Kind.RESERVOIR_EMPTY else fault.onset_ms,
        end_ms=fault.end_ms,
        counts_from_ms=counts_from_ms,
        earliest_ms=earliest_ms,
        due_ms=None if too_soon_over else due_ms,
        expected=list(must),
        allowed=list(may),
        observable=bool(must) or fault.kind in DECOYS,
        announced=bool(must) and not fault.over_by(timeline.live_from_ms),
        deviation=deviation_of(fault, implant),
    )


def shows_after_ms(kind: Kind, implant: Implant) -> int:
    """How long after its onset a stall or silence shows in the telemetry, at the pump's basal program."""
    if kind is Kind.SILENCE:
        return max(SILENT_AT_LEAST_MS, round(SILENT_INTERVALS * implant.interval_s * 1000)) + SILENCE_IN_HAND_MS
    return stall_shows_ms(implant)


def _times(fault: Fault, implant: Implant, timeline: Timeline) -> tuple[int, int | None, int | None]:  # noqa: C901, PLR0911, PLR0912
    """(from when its delay counts, when it can be seen first, when it must have been noticed) of an expected fault."""
    onset_ms, kind = fault.onset_ms, fault.kind
    # The service judges by the minute, however often a pump reports.
    reading_ms = max(timeline.spacing_ms_at(onset_ms), MINUTE_MS)
    if kind in _SHIFTS:
        return _shift_times(fault, implant)
    match kind:
        case Kind.STALL | Kind.OCCLUSION:
            shows_ms = onset_ms + stall_shows_ms(implant)
            trickle_ms = (shows_ms - onset_ms) // 8 if implant.sensor else 0  # noise that a sensor takes for flow
            first_ms = onset_ms + stall_shows_ms(implant, at_its_fastest=True)
            return onset_ms, first_ms, shows_ms + trickle_ms + 2 * reading_ms
        case Kind.MRI_LATE:
            shows_ms = onset_ms + stall_shows_ms(implant)
            return onset_ms, shows_ms, max(shows_ms, onset_ms + MRI_MS + MRI_HOLD_MS) + 2 * reading_ms
        case Kind.STALL_FLUTTER:
            parts = list(flutter(fault, implant, onset_ms + 5 * DAY_MS))
            if len(parts) < 4:
                return onset_ms, None, None
            return onset_ms, parts[2].onset_ms + stall_shows_ms(implant), parts[3].onset_ms + length_ms(parts[3])
        case Kind.TELEMETRY_LOCK:
            locked_ms = lock_falls_silent_ms(fault, implant) + LOCKED_MS
            return onset_ms, onset_ms + stall_shows_ms(implant), locked_ms + 5 * MINUTE_MS
        case Kind.OVER_DELIVERY_GROSS | Kind.FREE_FLOW | Kind.EARLY_EMPTY:
            over = deviation_of(fault, implant) or 0.0
            due_ms = onset_ms + (GROSS_READINGS + 2) * reading_ms
            if kind is Kind.EARLY_EMPTY:  # and then it must be empty
                due_ms = onset_ms + length_ms(fault) + reading_ms
            return onset_ms, onset_ms + (GROSS_READINGS - 1) * reading_ms, due_ms if over >= GROSS else None
        case Kind.SILENCE | Kind.SITE_OUTAGE:
            shows_ms = onset_ms + shows_after_ms(Kind.SILENCE, implant)
            heard_before_ms = round(implant.interval_s * 1000)  # at most so long before its onset
            due_ms = shows_ms if kind is Kind.SILENCE else shows_ms + 5 * MINUTE_MS
            return onset_ms, max(shows_ms - heard_before_ms, onset_ms), due_ms
        case Kind.STOPPED_LONG:
            return onset_ms, onset_ms + STOPPED_LONG_MS, onset_ms + STOPPED_LONG_MS + reading_ms
        case Kind.RESERVOIR_EMPTY:
            nearly_ms, empty_ms = (
                onset_ms + round(max(fault.value - left_ml, 0.0) / implant.program_ml_d * DAY_MS)
                for left_ml in (NEARLY_EMPTY_ML, 0.0)
            )
            return nearly_ms, nearly_ms, empty_ms + HOUR_MS
        case Kind.POCKET_FILL:  # one reading of a level is none
            return onset_ms, onset_ms, onset_ms + (GROSS_READINGS + 1) * reading_ms
        case Kind.FLOW_WHILE_STOPPED:
            return onset_ms, onset_ms + GROSS_READINGS * reading_ms, onset_ms + HOUR_MS
        case Kind.BOLUS_CAP:
            boluses, given_ul = cap_boluses(fault, implant), 0.0
            for bolus in boluses:
                given_ul += bolus.value
                if given_ul > implant.bolus_daily_cap_ul:
                    break
            known_ms = onset_ms + bolus.onset_ms - onset_ms + length_ms(bolus)
            return known_ms, known_ms, known_ms + reading_ms
        case Kind.BOLUS_DENIED:
            count = max(round(fault.value), 1)
            known_ms = onset_ms + (DENIALS - 1) * length_ms(fault) // count
            return known_ms, known_ms, known_ms + reading_ms if count >= DENIALS else None
        case Kind.BATTERY_EARLY:  # only the run can tell when
            return onset_ms, None, None
        case Kind.CORRUPTED | Kind.LOST:
            over_ms = onset_ms + length_ms(fault)
            return onset_ms, over_ms, over_ms + HOUR_MS
    return onset_ms, onset_ms, onset_ms + reading_ms


def _shift_times(fault: Fault, implant: Implant) -> tuple[int, int | None, int | None]:
    passed_ms = fault.onset_ms
    if fault.kind is Kind.OVER_INFUSION:
        needed = (1 + REJECT) / (1 + implant.bias) - 1
        passed_ms += round(needed / fault.value * MONTH_MS)
        if fault.over_by(passed_ms):
            return fault.onset_ms, None, None
    elif abs(deviation_of(fault, implant) or 0.0) < REJECT:
        return fault.onset_ms, None, None
    hour_ms = passed_ms // HOUR_MS * HOUR_MS
    return max(hour_ms, fault.onset_ms), passed_ms, passed_ms + DUE_AFTER_BOUNDS * SHIFT_BOUND_MS


def deviation_of(fault: Fault, implant: Implant) -> float | None:
    """How far the flow is from the program while the fault is on, as this pump's channel has it; None: not at all."""
    match fault.kind:
        case Kind.STALL | Kind.MRI_LATE | Kind.TELEMETRY_LOCK | Kind.OCCLUSION:
            return -1.0
        case Kind.FREE_FLOW | Kind.EARLY_EMPTY:
            volume_ml = implant.capacity_ml if fault.kind is Kind.EARLY_EMPTY else fault.value
            return volume_ml * DAY_MS / length_ms(fault) / implant.program_ml_d
        case Kind.OVER_INFUSION:
            return REJECT
        case Kind.UNDER_DELIVERY if not implant.sensor:
            return fault.value - 1
        case Kind.OVER_DELIVERY | Kind.OVER_DELIVERY_GROSS | Kind.UNDER_DELIVERY | Kind.OCCLUSION_PARTIAL:
            return (1 + implant.bias) * fault.value - 1
    return None
