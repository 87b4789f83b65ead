"""What is wrong with the service itself, in one sentence with its times, parts and reasons?"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from service.core.change import Condition
from service.core.lifecycle import pump_time
from service.core.wording import Evidence, span


def _not_watching(of: Evidence) -> str:
    return f"The service has not heard its pumps since {of.since}; how they are doing is unknown."


def _plain(_: Evidence) -> str:
    raise KeyError


def _escalation_broken(of: Evidence) -> str:
    return f"Alerts do not go the way that was chosen for them: {of.text('reason')}."


def unregistered(of: Evidence) -> str:
    """Of many pumps the service tells; what is said of one has no numbers."""
    return (
        f"{of.number('pumps'):.0f} pumps are heard that are not in the registry ({of.number('simulated'):.0f} of them "
        f"simulated); the first of them is {of.text('first')}."
    )


def storage_unavailable(of: Evidence) -> str:
    """Said while it lasts by the way that needs no database; in the database, only once it is over."""
    try:
        until_ms = of.number("until_ms")
    except KeyError:
        return (
            f"The database has not answered since {of.since} ({of.text('reason')}). Nothing is stored, judged or told "
            "until it does; pumps and broker keep what is sent."
        )
    lasted = span(pump_time(int(until_ms)) - pump_time(int(of.number("began_ms"))))
    return (
        f"The database did not answer from {of.since} to {of.at('until_ms')} ({lasted}: {of.text('reason')}). "
        "Nothing was judged or told meanwhile: alerts of that time come late."
    )


def _broker_unavailable(of: Evidence) -> str:
    return f"Shard {of.text('shard')} has had no connection to its broker since {of.since}: {of.text('reason')}."


def _broker_dropping(of: Evidence) -> str:
    return f"The broker drops messages, or is about to, since {of.since}: {of.text('reason')}."


def _broker_degraded(of: Evidence) -> str:
    return f"The broker has not been well since {of.since}: {of.text('reason')}."


def _ingest_lagging(of: Evidence) -> str:
    return f"What shard {of.text('shard')} is sent has not been stored in time since {of.since}: {of.text('reason')}."


def _role_silent(of: Evidence) -> str:
    return f"Nothing has been heard since {of.since} of {of.text('role')}, which {of.text('does')}."


def _delivery_given_up(of: Evidence) -> str:
    return (
        f"{of.number('count'):.0f} notifications of the last 24 h were given up, the first at {of.since}: those behind "
        f"{of.text('endpoints')} were not told."
    )


def _endpoint_failing(of: Evidence) -> str:
    return f"Nothing has arrived at the endpoint {of.text('endpoint')} since {of.since}, and it is only probed."


def _endpoint_disabled(of: Evidence) -> str:
    return f"The endpoint {of.text('endpoint')} was disabled ({of.text('reason')}): nothing is sent there any more."


def _canary_lost(of: Evidence) -> str:
    within = span(timedelta(seconds=of.number("within_s")))
    return (
        f"The canary's fault of {of.since} was not delivered within {within}: it {of.text('reason')}. "
        "Real alerts may not be delivered either."
    )


def _drill(of: Evidence) -> str:
    return (
        f"This is a drill that {of.text('by')} has begun, until {of.at('until_ms')} at the latest. "
        "No pump and no patient is concerned."
    )


WRONG: Final[Mapping[Condition, tuple[str, Callable[[Evidence], str]]]] = {
    Condition.NOT_WATCHING: ("The service does not hear its pumps; how they are doing is unknown.", _not_watching),
    Condition.BROKER_SESSION_LOST: ("The broker has forgotten what it held for the service.", _plain),
    Condition.ESCALATION_BROKEN: ("Alerts do not go the way that was chosen for them.", _escalation_broken),
    Condition.STORAGE_UNAVAILABLE: ("The database does not answer: nothing is stored or judged.", storage_unavailable),
    Condition.BROKER_UNAVAILABLE: ("The service has no connection to its broker.", _broker_unavailable),
    Condition.BROKER_DROPPING: ("The broker drops messages, or is about to.", _broker_dropping),
    Condition.BROKER_DEGRADED: ("The broker is not well: a node says so itself, or is missing.", _broker_degraded),
    Condition.INGEST_LAGGING: ("What pumps send is not stored in time.", _ingest_lagging),
    Condition.ROLE_SILENT: ("Nothing is heard of a part of the service.", _role_silent),
    Condition.DELIVERY_GIVEN_UP: ("Notifications were given up: somebody was not told.", _delivery_given_up),
    Condition.ENDPOINT_FAILING: ("An endpoint fails, and is only probed.", _endpoint_failing),
    Condition.ENDPOINT_DISABLED: ("An endpoint was disabled: nothing is sent there any more.", _endpoint_disabled),
    Condition.CANARY_LOST: ("The canary's fault was not delivered: real ones may not be either.", _canary_lost),
    Condition.DRILL: ("This is a drill. No pump and no patient is concerned.", _drill),
}
OVER: Final[Mapping[Condition, str]] = {
    Condition.NOT_WATCHING: "The service hears its pumps again",
    Condition.BROKER_SESSION_LOST: "The session at the broker stands again, and pumps had time to send again",
    Condition.ESCALATION_BROKEN: "Every open alert goes the way that was chosen for it again",
    Condition.STORAGE_UNAVAILABLE: "The database answers again",
    Condition.BROKER_UNAVAILABLE: "The broker is connected again",
    Condition.BROKER_DROPPING: "The broker has dropped nothing more",
    Condition.BROKER_DEGRADED: "The broker is well again",
    Condition.INGEST_LAGGING: "What pumps send is stored in time again",
    Condition.ROLE_SILENT: "It is heard again",
    Condition.DELIVERY_GIVEN_UP: "Nothing of the last 24 h stands given up",
    Condition.ENDPOINT_FAILING: "The endpoint answers again",
    Condition.ENDPOINT_DISABLED: "The endpoint is enabled again, or deleted",
    Condition.CANARY_LOST: "The canary's faults are delivered again",
    Condition.DRILL: "The drill has ended",
}
