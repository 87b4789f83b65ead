"""What is wrong, in one plain sentence with its numbers and times? And what does it mean that it is over?"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from service.core import sentences_of_device as device
from service.core import sentences_of_flow as flow
from service.core import sentences_of_service as own
from service.core.alert import Alert, AlertState
from service.core.change import Condition
from service.core.wording import Evidence, clock_time, short, span

__all__ = ["clock_time", "short", "span", "what_evidence_says", "what_is_over", "what_is_wrong"]


def what_is_wrong(alert: Alert, now: datetime) -> str:
    return what_evidence_says(alert.condition, alert.evidence, now)


def what_evidence_says(condition: Condition, evidence: Mapping[str, Any], now: datetime) -> str:
    """The same of an alert that is at hand as a row."""
    plain, sentence = _WRONG[condition]
    try:
        return sentence(Evidence(evidence, now))
    except KeyError:
        return plain


def what_is_over(alert: Alert, now: datetime) -> str:
    """For an alert that is resolved or latched."""
    if alert.ended_at is None:
        return "Readings that came late show that this did not happen; the alert is withdrawn."
    why = "The pump was taken out of service" if "out_of_service" in alert.evidence else _OVER[alert.condition]
    over = f"{why} (seen at {clock_time(alert.ended_at, now)})."
    if alert.state is AlertState.RESOLVED and alert.latching:
        return f"{over} A person has reset the alert."
    return over


def _silence(of: Evidence) -> str:
    silent_for = span(timedelta(milliseconds=of.number("detected_ms") - of.number("began_ms")))
    return (
        f"Nothing has been heard from this pump since {of.since} ({silent_for}); "
        f"it should report every {of.short('interval_s')} s. How it is doing is unknown."
    )


def _telemetry_lock(of: Evidence) -> str:
    return (
        f"The motor stood still when the pump was last heard, at {of.since}; since then nothing has come for "
        f"{span(timedelta(seconds=of.number('silent_s')))}. It may be held in its telemetry mode."
    )


def _site_silence(of: Evidence) -> str:
    return (
        f"{of.number('silent'):.0f} of {of.number('pumps'):.0f} pumps of this site fell silent together "
        f"at about {of.since}, among them {of.text('first_pumps')}. How they are doing is unknown."
    )


def _sequence_gap(of: Evidence) -> str:
    return f"{of.number('lost'):,.0f} readings of this pump were lost for good since {of.since}."


def _clock_off(of: Evidence) -> str:
    offset = timedelta(milliseconds=of.number("offset_ms"))
    direction = "behind" if offset > timedelta(0) else "ahead of"
    return f"The pump's clock is {span(abs(offset))} {direction} ours; its times are corrected by that."


def _repeating(of: Evidence) -> str:
    return (
        f"The pump sends again and again what is known already: {of.number('messages'):,.0f} messages since {of.since} "
        "brought nothing new."
    )


def _plain(_: Evidence) -> str:
    raise KeyError("the plain sentence says it all")


# The plain sentence, for evidence without numbers, and the one with them.
_WRONG: Final[dict[Condition, tuple[str, Callable[[Evidence], str]]]] = {
    Condition.STALL: ("The motor does not advance although the pump is programmed to deliver.", flow.stall),
    Condition.STALL_FLUTTER: ("The motor has stalled and recovered again and again.", flow.stall_flutter),
    Condition.OVER_DELIVERY_GROSS: ("The pump delivers far more than programmed.", lambda of: flow.gross(of, "more")),
    Condition.OVER_DELIVERY: ("The pump delivers more than programmed.", lambda of: flow.sustained(of, "more")),
    Condition.UNDER_DELIVERY_GROSS: ("The pump delivers far less than programmed.", lambda of: flow.gross(of, "less")),
    Condition.UNDER_DELIVERY: ("The pump delivers less than programmed.", lambda of: flow.sustained(of, "less")),
    Condition.FLOW_WHILE_STOPPED: ("The pump delivers although it is stopped.", flow.while_stopped),
    Condition.RESERVOIR_LOW: ("The reservoir is running low.", device.reservoir_low),
    Condition.RESERVOIR_EMPTY: ("The reservoir is empty.", device.reservoir_empty),
    Condition.REFILL_MISMATCH: (
        "What was drawn off at the refill is not what should have been left.",
        device.refill_mismatch,
    ),
    Condition.LEVEL_DEVIATION: ("The reservoir does not empty as the measured flow says.", device.level_deviation),
    Condition.BATTERY_LOW: ("The battery is near its end.", device.battery_low),
    Condition.BATTERY_END: ("The battery has reached the end of its service.", device.battery_end),
    Condition.BATTERY_RESET: (
        "The pump was reset by its battery and may run at its minimum rate.",
        device.battery_reset,
    ),
    Condition.PROGRAM_UNAUTHORISED: (
        "The program was changed and nobody is known to have authorised it.",
        device.program_unauthorised,
    ),
    Condition.STOPPED_LONG: ("The pump has been stopped for long.", device.stopped_long),
    Condition.BOLUS_CAP: ("The pump gave more by boluses than the patient is allowed.", device.bolus_cap),
    Condition.BOLUS_DENIED: ("The patient's boluses are denied again and again.", device.bolus_denied),
    Condition.MEMORY_ERROR: ("The pump reports an error of its memory.", device.memory_error),
    Condition.SILENCE: ("Nothing is heard from this pump; how it is doing is unknown.", _silence),
    Condition.TELEMETRY_LOCK: (
        "The motor stood still, and since then nothing is heard from the pump.",
        _telemetry_lock,
    ),
    Condition.SITE_SILENCE: ("Nothing is heard from most pumps of this site.", _site_silence),
    Condition.SEQUENCE_GAP: ("Readings of this pump are lost for good.", _sequence_gap),
    Condition.CLOCK_OFF: ("The pump's clock differs from ours; its times are corrected.", _clock_off),
    Condition.UNREGISTERED: ("This pump is not in the registry.", own.unregistered),
    Condition.IMPLAUSIBLE_BOOT: (
        "Messages came whose place in the pump's history cannot be; they are kept aside.",
        _plain,
    ),
    Condition.CONFLICTING_READINGS: (
        "Readings came under numbers that others are stored under, with other values; they are kept aside.",
        _plain,
    ),
    Condition.REPEATING: ("The pump sends again and again what is known already.", _repeating),
    **own.WRONG,
}
_OVER: Final[dict[Condition, str]] = {
    Condition.STALL: "The motor advances again",
    Condition.STALL_FLUTTER: "The motor has not stalled for a day",
    Condition.OVER_DELIVERY_GROSS: "The pump delivers as programmed again",
    Condition.OVER_DELIVERY: "The pump delivers as programmed again",
    Condition.UNDER_DELIVERY_GROSS: "The pump delivers as programmed again",
    Condition.UNDER_DELIVERY: "The pump delivers as programmed again",
    Condition.RESERVOIR_LOW: "The reservoir is no longer low",
    Condition.FLOW_WHILE_STOPPED: "The pump stands still, or is programmed to deliver again",
    Condition.RESERVOIR_EMPTY: "The reservoir is filled again",
    Condition.REFILL_MISMATCH: "A later refill agreed with what was expected",
    Condition.LEVEL_DEVIATION: "The reservoir empties as the flow says again",
    Condition.BATTERY_LOW: "The battery is no longer low",
    Condition.BATTERY_END: "The pump delivers again",
    Condition.BATTERY_RESET: "The pump was programmed again",
    Condition.PROGRAM_UNAUTHORISED: "The program was changed with authority since",
    Condition.STOPPED_LONG: "The pump runs again",
    Condition.BOLUS_CAP: "Boluses are within what is allowed again",
    Condition.BOLUS_DENIED: "Boluses are no longer denied again and again",
    Condition.MEMORY_ERROR: "The pump reports that its memory is sound again",
    Condition.SILENCE: "The pump is heard again",
    Condition.TELEMETRY_LOCK: "The pump is heard again",
    Condition.SITE_SILENCE: "Most pumps of this site are heard again",
    Condition.SEQUENCE_GAP: "No reading was lost for a day",
    Condition.CLOCK_OFF: "The pump's clock agrees with ours again",
    Condition.UNREGISTERED: "The pump is in the registry now",
    Condition.IMPLAUSIBLE_BOOT: "No such message has come for a day",
    Condition.CONFLICTING_READINGS: "No such reading has come for a day",
    Condition.REPEATING: "The pump repeats itself no more",
    **own.OVER,
}
