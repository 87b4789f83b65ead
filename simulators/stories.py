"""What happens to a pump in the moments of a fault or decoy, and what does the pump record of it?"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from simulators.acts import cap_boluses, given_ms
from simulators.faults import MRI_MS, Fault, Kind, length_ms
from simulators.fleet import Implant
from simulators.programs import STOPPED, Phase, Program, priming, single_bolus
from simulators.pump import Pumps
from simulators.wire import BRIDGE, Event

DOCTOR: Final = "clinic-0001"  # who authorises what is authorised

Act = Callable[[Pumps], Event | None]


class Moment(NamedTuple):
    """`act` does to the pump what happens; it returns the event, unless the pump says it by itself.

    `between`: the pump is another one from the next reading on, which therefore is measured after it.
    """

    pump: int
    at_ms: int
    act: Act
    between: bool = False


def story_of(fault: Fault, implant: Implant) -> list[Moment]:
    """The moments of the whole fault, in order of time."""
    return sorted(_moments(fault, implant), key=lambda moment: moment.at_ms)


def refill(pump: int, at_ms: int, to_ml: float, missed_share: float = 0.0) -> Moment:
    def fill(pumps: Pumps) -> Event:
        aspirated_ml, expected_ml = pumps.refill(pump, to_ml, missed_share, at_ms)
        told = {"reservoir_after_ml": to_ml, "aspirated_ml": aspirated_ml, "expected_ml": expected_ml}
        return Event(at_ms, "refill", dict(told))

    return Moment(pump, at_ms, fill, between=True)


def _moments(fault: Fault, implant: Implant) -> Iterator[Moment]:  # noqa: C901, PLR0912
    pump, onset_ms, end_ms, kind = fault.pump, fault.onset_ms, fault.end_ms, fault.kind
    match kind:
        case Kind.STOPPED | Kind.STOPPED_LONG | Kind.FLOW_WHILE_STOPPED:
            yield _programmed(pump, onset_ms, STOPPED)
        case Kind.PRIMING:
            yield _programmed(pump, onset_ms, priming(onset_ms, fault.value, given_ms(fault) / 1000))
        case Kind.SINGLE_BOLUS:
            yield _programmed(pump, onset_ms, single_bolus(onset_ms, fault.value, given_ms(fault) / 1000))
        case Kind.BRIDGE:
            yield _programmed(pump, onset_ms, Phase(BRIDGE, fault.value * implant.program_ml_d, end_ms))
        case Kind.PROGRAM_UNAUTHORISED:
            yield _programmed(pump, onset_ms, basal=Program(fault.value), command_id=None)
        case Kind.BATTERY_RESET:
            yield Moment(pump, onset_ms, partial(_restart, pump=pump, at_ms=onset_ms, reason="reset"), between=True)
            yield Moment(pump, onset_ms, partial(_battery_reset, pump=pump, at_ms=onset_ms))
        case Kind.REBOOT:
            yield Moment(pump, onset_ms, partial(_restart, pump=pump, at_ms=onset_ms, reason="watchdog"), between=True)
        case Kind.REFILL:
            yield refill(pump, onset_ms, fault.value)
        case Kind.POCKET_FILL:
            yield refill(pump, onset_ms, implant.capacity_ml, fault.value)
        case Kind.MRI | Kind.MRI_LATE | Kind.TELEMETRY_LOCK:
            scanned_ms = onset_ms + MRI_MS
            yield told(pump, onset_ms, "mri_began")
            yield told(pump, scanned_ms if end_ms is None else min(scanned_ms, end_ms), "mri_ended")
        case Kind.BOLUS:
            yield from _bolus(fault)
        case Kind.BOLUS_CAP:
            for bolus in cap_boluses(fault, implant):
                yield from _bolus(bolus)
        case Kind.BOLUS_DENIED:
            count = max(round(fault.value), 1)
            for number in range(count):
                at_ms = onset_ms + number * length_ms(fault) // count
                yield told(pump, at_ms, "bolus_requested", dose_ul=implant.boluses.dose_ul)
                yield told(pump, at_ms, "bolus_denied", dose_ul=implant.boluses.dose_ul, reason="lockout")
        case Kind.MEMORY_ERROR:
            yield told(pump, onset_ms, "device_alarm_raised", code="memory_error")
            if end_ms is not None:
                yield told(pump, end_ms, "device_alarm_cleared", code="memory_error")
    if end_ms is not None and kind in _PROGRAMMED_ANEW:
        yield _programmed(pump, end_ms, basal=implant.basal)


_PROGRAMMED_ANEW: Final = frozenset(
    {
        *(Kind.STOPPED, Kind.STOPPED_LONG, Kind.FLOW_WHILE_STOPPED, Kind.PRIMING, Kind.SINGLE_BOLUS, Kind.BRIDGE),
        *(Kind.PROGRAM_UNAUTHORISED, Kind.BATTERY_RESET),
    }
)
"""Over when a clinician programs the pump as it was."""


def told(pump: int, at_ms: int, what: str, **fields: object) -> Moment:
    return Moment(pump, at_ms, lambda _pumps: Event(at_ms, what, fields))


def _programmed(
    pump: int, at_ms: int, phase: Phase | None = None, basal: Program | None = None, command_id: str | None = DOCTOR
) -> Moment:
    return Moment(pump, at_ms, lambda pumps: pumps.set_program(pump, at_ms, phase, basal, command_id))


def _restart(pumps: Pumps, *, pump: int, at_ms: int, reason: str) -> Event:
    pumps.restart(pump)
    return Event(at_ms, "started", {"reason": reason})


def _battery_reset(pumps: Pumps, *, pump: int, at_ms: int) -> None:
    pumps.battery_reset(pump, at_ms)


def _bolus(fault: Fault) -> Iterator[Moment]:
    yield told(fault.pump, fault.onset_ms, "bolus_requested", dose_ul=fault.value)
    end_ms, lasts_s = fault.onset_ms + length_ms(fault), length_ms(fault) / 1000
    yield told(fault.pump, end_ms, "bolus_delivered", dose_ul=fault.value, duration_s=lasts_s)
