"""What is wrong with the flow, in one sentence with its numbers?"""

from datetime import timedelta

from service.core.wording import Evidence, span


def stall(of: Evidence) -> str:
    try:
        flow_ml_d = of.number("flow_ml_d")
    except KeyError:  # no reading has decided, but the pump's own word
        return f"The pump itself says that its motor stands still, since {of.since}.{_mri(of)}"
    motion = "has not advanced" if flow_ml_d == 0 else f"has almost stopped ({of.short('flow_ml_d')} mL/d)"
    return (
        f"The motor {motion} since {of.since} although {of.short('program_ml_d')} mL/d is programmed: "
        f"about {of.short('missed_ul')} µL have been missed.{_mri(of)}"
    )


def _mri(of: Evidence) -> str:
    try:
        if of.number("in_mri") == 0:
            return ""
        if of.number("mri_phase") > 0:
            return " An MRI explains it so far."
        since_ms = of.number("mri_since_ms")
    except KeyError:  # found before stalls were told with their MRI
        return ""
    if since_ms == 0:
        return " It began in an MRI, which no longer explains it."
    return f" {span(timedelta(milliseconds=since_ms))} after the MRI it has not restarted."


def stall_flutter(of: Evidence) -> str:
    stops, window = of.number("limit_episodes"), span(timedelta(seconds=of.number("limit_window_s")))
    return f"The motor has stopped and recovered {stops:.0f} times within {window}, the first time at {of.since}."


def gross(of: Evidence, direction: str) -> str:
    return (
        f"The pump has delivered far {direction} than programmed since {of.since}: "
        f"{of.short('flow_ml_d')} mL/d where {of.short('program_ml_d')} mL/d is programmed."
    )


def sustained(of: Evidence, direction: str) -> str:
    return (
        f"The pump has delivered {direction} than programmed since about {of.since}: "
        f"{of.number('deviation'):+.0%} in the last whole hour, at {of.short('program_ml_d')} mL/d programmed."
    )


def while_stopped(of: Evidence) -> str:
    return (
        f"The pump has delivered {of.short('delivered_ul')} µL since {of.since} although nothing is programmed "
        f"({of.short('flow_ml_d')} mL/d at last)."
    )
