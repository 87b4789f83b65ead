"""How urgent is a condition by default? One word for each of its steps; less urgent where no withdrawal is known."""

from typing import Final

from service.core.change import Condition, Priority
from service.core.reading import DrugClass

_UNGUARDED: Final = (DrugClass.ZICONOTIDE, DrugClass.BUPIVACAINE)  # no recognised withdrawal: docs/rules.md
_H, _M, _L = Priority.HIGH, Priority.MEDIUM, Priority.LOW

Ladder = tuple[Priority, ...]
"""One priority a step; a condition that has a single step has one."""

PRIORITIES: Final[dict[Condition, Ladder]] = {
    Condition.STALL: (_M, _H),
    Condition.STALL_FLUTTER: (_M,),
    Condition.OVER_DELIVERY_GROSS: (_H,),
    Condition.OVER_DELIVERY: (_M,),
    Condition.UNDER_DELIVERY_GROSS: (_H,),
    Condition.UNDER_DELIVERY: (_M,),
    Condition.FLOW_WHILE_STOPPED: (_H,),
    Condition.RESERVOIR_LOW: (_L, _M, _H),
    Condition.RESERVOIR_EMPTY: (_H,),
    Condition.REFILL_MISMATCH: (_M, _H),
    Condition.LEVEL_DEVIATION: (_M,),
    Condition.BATTERY_LOW: (_L, _M, _H),
    Condition.BATTERY_END: (_H,),
    Condition.BATTERY_RESET: (_H,),
    Condition.PROGRAM_UNAUTHORISED: (_H,),
    Condition.STOPPED_LONG: (_M, _H),
    Condition.BOLUS_CAP: (_H,),
    Condition.BOLUS_DENIED: (_L,),
    Condition.MEMORY_ERROR: (_H,),
    Condition.SILENCE: (_L, _M, _H),
    Condition.TELEMETRY_LOCK: (_H,),
    Condition.SITE_SILENCE: (_M, _H),
    Condition.SEQUENCE_GAP: (_L,),
    Condition.CLOCK_OFF: (_L,),
    Condition.UNREGISTERED: (_L,),
    Condition.IMPLAUSIBLE_BOOT: (_L,),
    Condition.CONFLICTING_READINGS: (_L,),
    Condition.REPEATING: (_L,),
    Condition.NOT_WATCHING: (_M,),
    Condition.BROKER_SESSION_LOST: (_L,),
    Condition.ESCALATION_BROKEN: (_M,),
    Condition.STORAGE_UNAVAILABLE: (_H,),
    Condition.BROKER_UNAVAILABLE: (_M,),
    Condition.BROKER_DROPPING: (_M,),
    Condition.BROKER_DEGRADED: (_M,),
    Condition.INGEST_LAGGING: (_M,),
    Condition.ROLE_SILENT: (_H,),
    Condition.DELIVERY_GIVEN_UP: (_H,),
    Condition.ENDPOINT_FAILING: (_M,),
    Condition.ENDPOINT_DISABLED: (_L,),
    Condition.CANARY_LOST: (_H,),
    Condition.DRILL: (_L, _M, _H),
}
_LESS_URGENT: Final[dict[Condition, Ladder]] = {
    Condition.STALL: (_L, _M),
    Condition.UNDER_DELIVERY_GROSS: (_M,),
    Condition.RESERVOIR_LOW: (_L, _M, _M),
    Condition.RESERVOIR_EMPTY: (_M,),
    Condition.STOPPED_LONG: (_L, _M),
    Condition.SILENCE: (_L, _M, _M),
}


def default_ladder(condition: Condition, drug_class: DrugClass) -> Ladder:
    if drug_class in _UNGUARDED:
        return _LESS_URGENT.get(condition, PRIORITIES[condition])
    return PRIORITIES[condition]
