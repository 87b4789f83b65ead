"""What is wrong, in one plain sentence with its numbers and times? And what does it mean that it is over?"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from service.core.alert import Alert, AlertState
from service.core.change import Condition
from service.core.lifecycle import pump_time


class Evidence:
    """An alert's evidence as words. A missing value raises KeyError: then the plain sentence must do."""

    def __init__(self, values: Mapping[str, Any], now: datetime) -> None:
        self._values = values
        self._now = now

    def number(self, name: str) -> float:
        value = self._values.get(name)
        if not isinstance(value, int | float):
            raise KeyError(name)
        return float(value)

    def short(self, name: str) -> str:
        return short(self.number(name))

    @property
    def since(self) -> str:
        return clock_time(pump_time(int(self.number("began_ms"))), self._now)


def what_is_wrong(alert: Alert, now: datetime) -> str:
    plain, sentence = _WRONG[alert.condition]
    try:
        return sentence(Evidence(alert.evidence, now))
    except KeyError:
        return plain


def what_is_over(alert: Alert, now: datetime) -> str:
    """For an alert that is resolved or latched."""
    if alert.ended_at is None:
        return "Readings that came late show that this did not happen; the alert is withdrawn."
    over = f"{_OVER[alert.condition]} (seen at {clock_time(alert.ended_at, now)})."
    if alert.state is AlertState.RESOLVED and alert.latching:
        return f"{over} A person has reset the alert."
    return over


def clock_time(at: datetime, now: datetime) -> str:
    """`at` in UTC, with the day where it is not today's."""
    day = "" if at.date() == now.date() else f" on {at.day} {at:%B %Y}"
    return f"{at:%H:%M} UTC{day}"


def short(value: float) -> str:
    """Three digits are what the sensors are worth."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 1:
        return f"{max(length.total_seconds(), 0):.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def _stall(of: Evidence) -> str:
    motion = "has not advanced" if of.number("flow_ml_d") == 0 else f"has almost stopped ({of.short('flow_ml_d')} mL/d)"
    return (
        f"The motor {motion} since {of.since} although {of.short('program_ml_d')} mL/d is programmed: "
        f"about {of.short('missed_ul')} µL have been missed."
    )


def _over_delivery_gross(of: Evidence) -> str:
    return (
        f"The pump has delivered far more than programmed since {of.since}: "
        f"{of.short('flow_ml_d')} mL/d where {of.short('program_ml_d')} mL/d is programmed."
    )


def _deviation(of: Evidence, direction: str) -> str:
    return (
        f"The pump has delivered {direction} than programmed since about {of.since}: "
        f"{of.number('deviation'):+.0%} in the last whole hour, at {of.short('program_ml_d')} mL/d programmed."
    )


def _reservoir_low(of: Evidence) -> str:
    left, empty_in = of.short("reservoir_ml"), span(timedelta(days=of.number("empty_in_d")))
    return f"The reservoir holds {left} mL; at {of.short('rate_ml_d')} mL/d it may be empty in {empty_in}."


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
        f"at about {of.since}. How they are doing is unknown."
    )


def _sequence_gap(of: Evidence) -> str:
    return f"{of.number('lost'):,.0f} readings of this pump were lost for good since {of.since}."


def _not_watching(of: Evidence) -> str:
    return f"The service has not heard its pumps since {of.since}; how they are doing is unknown."


def _clock_off(of: Evidence) -> str:
    offset = timedelta(milliseconds=of.number("offset_ms"))
    direction = "behind" if offset > timedelta(0) else "ahead of"
    return f"The pump's clock is {span(abs(offset))} {direction} ours; its times are corrected by that."


def _plain(_: Evidence) -> str:
    raise KeyError("the plain sentence says it all")


# The plain sentence, for evidence without numbers, and the one with them.
_WRONG: Final[dict[Condition, tuple[str, Callable[[Evidence], str]]]] = {
    Condition.STALL: ("The motor does not advance although the pump is programmed to deliver.", _stall),
    Condition.STALL_FLUTTER: ("The motor has stalled and recovered again and again.", _plain),
    Condition.OVER_DELIVERY_GROSS: ("The pump delivers far more than programmed.", _over_delivery_gross),
    Condition.OVER_DELIVERY: ("The pump delivers more than programmed.", lambda of: _deviation(of, "more")),
    Condition.UNDER_DELIVERY_GROSS: ("The pump delivers far less than programmed.", _plain),
    Condition.UNDER_DELIVERY: ("The pump delivers less than programmed.", lambda of: _deviation(of, "less")),
    Condition.FLOW_WHILE_STOPPED: ("The pump delivers although it is stopped.", _plain),
    Condition.RESERVOIR_LOW: ("The reservoir is running low.", _reservoir_low),
    Condition.RESERVOIR_EMPTY: ("The reservoir is empty.", _plain),
    Condition.REFILL_MISMATCH: ("What was drawn off at the refill is not what should have been left.", _plain),
    Condition.LEVEL_DEVIATION: ("The reservoir does not empty as the measured flow says.", _plain),
    Condition.BATTERY_LOW: ("The battery is near its end.", _plain),
    Condition.BATTERY_END: ("The battery has reached the end of its service.", _plain),
    Condition.BATTERY_RESET: ("The pump was reset by its battery and may run at its minimum rate.", _plain),
    Condition.PROGRAM_UNAUTHORISED: ("The program was changed and nobody is known to have authorised it.", _plain),
    Condition.STOPPED_LONG: ("The pump has been stopped for long.", _plain),
    Condition.BOLUS_CAP: ("The pump gave more by boluses than the patient is allowed.", _plain),
    Condition.BOLUS_DENIED: ("The patient's boluses are denied again and again.", _plain),
    Condition.MEMORY_ERROR: ("The pump reports an error of its memory.", _plain),
    Condition.SILENCE: ("Nothing is heard from this pump; how it is doing is unknown.", _silence),
    Condition.TELEMETRY_LOCK: (
        "The motor stood still, and since then nothing is heard from the pump.",
        _telemetry_lock,
    ),
    Condition.SITE_SILENCE: ("Nothing is heard from most pumps of this site.", _site_silence),
    Condition.SEQUENCE_GAP: ("Readings of this pump are lost for good.", _sequence_gap),
    Condition.CLOCK_OFF: ("The pump's clock differs from ours; its times are corrected.", _clock_off),
    Condition.UNREGISTERED: ("This pump is not in the registry.", _plain),
    Condition.IMPLAUSIBLE_BOOT: (
        "Messages came whose place in the pump's history cannot be; they are kept aside.",
        _plain,
    ),
    Condition.NOT_WATCHING: ("The service does not hear its pumps; how they are doing is unknown.", _not_watching),
    Condition.BROKER_SESSION_LOST: ("The broker has forgotten what it held for the service.", _plain),
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
    Condition.NOT_WATCHING: "The service hears its pumps again",
    Condition.BROKER_SESSION_LOST: "The session at the broker stands again, and pumps had time to send again",
}
