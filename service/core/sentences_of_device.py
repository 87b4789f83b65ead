"""What is wrong with reservoir, refill, battery, boluses, program or memory, in one sentence with its numbers?"""

from datetime import timedelta

from service.core.wording import Evidence, short, span


def reservoir_low(of: Evidence) -> str:
    left = f"The reservoir holds {of.short('left_ml')} mL"
    if of.number("said_by_pump") > 0:
        left = f"The pump itself says that its reservoir is low: it holds {of.short('left_ml')} mL"
    return (
        f"{left}; at {of.short('rate_ml_d')} mL/d it may be empty in {of.days('empty_in_d')} "
        f"({of.days('empty_nominal_d')} if it delivers as programmed)."
    )


def reservoir_empty(of: Evidence) -> str:
    left = f"{of.short('left_ml')} mL left"
    if of.number("said_by_pump") > 0:
        return f"The pump itself says that its reservoir is empty since {of.since} ({left})."
    return f"The reservoir is empty since {of.since}: {left}."


def refill_mismatch(of: Evidence) -> str:
    if of.number("short_ml") > 0:
        return (
            f"After the refill at {of.at('refill_ms')} the level is {of.short('short_ml')} mL below what was put in: "
            "the drug may have gone beside the pump."
        )
    off_ml, limit = of.number("off_ml"), of.short("off_limit_ml")
    how = "more" if off_ml > 0 else "less"
    sentence = (
        f"At the refill at {of.at('refill_ms')} {short(abs(off_ml))} mL {how} came out than should have been left "
        f"(limit {limit} mL)"
    )
    if of.number("step") >= 2:
        return f"{sentence}: the refill before may have gone beside the pump."
    return f"{sentence}: the pump may have delivered {'less' if off_ml > 0 else 'more'} than programmed."


def level_deviation(of: Evidence) -> str:
    fast_ml, slow_ml = of.number("too_fast_ml"), of.number("too_slow_ml")
    how = "more" if fast_ml >= slow_ml else "less"
    return (
        f"Since about {of.since} the reservoir has fallen by {short(max(fast_ml, slow_ml))} mL {how} than the measured "
        f"flow and its tolerance explain; it holds {of.short('level_ml')} mL."
    )


def battery_low(of: Evidence) -> str:
    left_d = of.number("service_left_d")
    if left_d <= 0:
        return f"The pump's service was to end {span(timedelta(days=-left_d))} ago; its battery is at {_volts(of)}."
    if left_d > of.number("limit_service_d"):
        return f"The pump itself asks to be replaced soon; its battery is at {_volts(of)}."
    return (
        f"The pump is to be replaced: its service ends in {of.days('service_left_d')}, its battery is at {_volts(of)}."
    )


def battery_end(of: Evidence) -> str:
    said = of.number("said_by_pump") > 0
    return f"{'The pump itself says that it' if said else 'The pump'} is at the end of its service since {of.since}."


def battery_reset(of: Evidence) -> str:
    return f"The pump was reset by its battery at {of.since} and may run at its minimum rate."


def program_unauthorised(of: Evidence) -> str:
    rates = f"{of.short('set_ml_d')} mL/d at {of.since} (about {of.short('usual_ml_d')} mL/d before)"
    return f"The program was set to {rates}, and nobody is known to have authorised it."


def stopped_long(of: Evidence) -> str:
    return f"Nothing has been programmed since {of.since}: the pump has stood still for {_hours(of)}."


def bolus_cap(of: Evidence) -> str:
    given, allowed = of.short("given_ul"), of.short("bolus_daily_cap_ul")
    return f"The pump gave {given} µL by boluses within 24 h; {allowed} µL are allowed."


def bolus_denied(of: Evidence) -> str:
    return f"{of.short('denied')} boluses were denied within 24 h; the patient asks for more than is allowed."


def memory_error(of: Evidence) -> str:
    return f"The pump reports an error of its memory since {of.since}: its program cannot be relied upon."


def _volts(of: Evidence) -> str:
    return f"{of.number('hourly_v'):.2f} V"


def _hours(of: Evidence) -> str:
    return span(timedelta(milliseconds=of.number("stopped_ms")))
