"""What should a person do now? One sentence a condition, in every notification and on every page of an alert."""

from typing import Final

from service.core.change import Condition

DO_NOW: Final[dict[Condition, str]] = {
    Condition.STALL: "Reach the patient now and have the pump interrogated; be ready to treat withdrawal.",
    Condition.STALL_FLUTTER: "Ask about magnets near the pump; plan its replacement: a worn rotor stalls for good.",
    Condition.OVER_DELIVERY_GROSS: "Reach the patient now; watch breathing and alertness; have the pump interrogated.",
    Condition.OVER_DELIVERY: "Ask after drowsiness; have the pump interrogated and its residual volume compared.",
    Condition.UNDER_DELIVERY_GROSS: "Reach the patient; be ready to treat withdrawal; have pump and catheter checked.",
    Condition.UNDER_DELIVERY: "Ask after returning symptoms; have pump and catheter checked.",
    Condition.RESERVOIR_LOW: "Bring the refill visit forward so that it falls before the earliest date of emptiness.",
    Condition.FLOW_WHILE_STOPPED: "Reach the patient now; watch breathing and alertness; the pump should stand still.",
    Condition.RESERVOIR_EMPTY: "Refill now; be ready to treat withdrawal. Having run dry, it may later over-deliver.",
    Condition.REFILL_MISMATCH: (
        "Examine the patient for drug beside the pump, which acts within minutes to hours; compare what was drawn off."
    ),
    Condition.LEVEL_DEVIATION: "Have pump and catheter checked: the reservoir does not empty as the flow says.",
    Condition.BATTERY_LOW: "Plan the replacement of the pump before the date at which it ends its service.",
    Condition.BATTERY_END: "The pump no longer delivers: be ready to treat withdrawal and replace the pump.",
    Condition.BATTERY_RESET: "Have the pump interrogated and programmed again now; be ready to treat withdrawal.",
    Condition.PROGRAM_UNAUTHORISED: "Find out who changed the program; have the pump interrogated and put right.",
    Condition.STOPPED_LONG: "Confirm that the pump is meant to stand still; past two days its tubing takes harm.",
    Condition.BOLUS_CAP: "Reach the patient now; watch breathing and alertness; more boluses came than allowed.",
    Condition.BOLUS_DENIED: "Ask after pain that breaks through: the patient asks for more than is allowed.",
    Condition.MEMORY_ERROR: "Have the pump interrogated now: its program can no longer be relied upon.",
    Condition.SILENCE: "Nothing is known while a pump is silent: reach the patient and restore the connection.",
    Condition.TELEMETRY_LOCK: "Reach the patient now: it stood still when last heard; interrogating restarts it.",
    Condition.SITE_SILENCE: "Restore the site's connection: nothing is known of its pumps, which are listed.",
    Condition.SEQUENCE_GAP: "Nothing to do at the pump: what it measured in this span is lost for good.",
    Condition.CLOCK_OFF: "Have the pump's clock set at the next visit.",
    Condition.UNREGISTERED: "Enter this pump in the registry; until then it is watched with the strictest defaults.",
    Condition.IMPLAUSIBLE_BOOT: "Find out who sends for this pump; its messages are kept aside and can be replayed.",
    Condition.CONFLICTING_READINGS: (
        "Find out who else sends for this pump, or whether its memory is broken; the rules go by what came first."
    ),
    Condition.REPEATING: "Have the pump's transmitter looked at; whatever new it sends is taken as ever.",
    Condition.NOT_WATCHING: "Have the service put right now: what its pumps do is unknown, look after them otherwise.",
    Condition.BROKER_SESSION_LOST: "Find out why the broker forgot; pumps send again what has no receipt.",
    Condition.ESCALATION_BROKEN: "Look through the open alerts yourself now; then mend the policy or endpoint named.",
    Condition.STORAGE_UNAVAILABLE: "Look after the pumps otherwise until the database answers; alerts come late.",
    Condition.BROKER_UNAVAILABLE: "Start the broker, or mend the way to it; pumps keep their readings meanwhile.",
    Condition.BROKER_DEGRADED: "See what its log says; bring missing nodes back one by one: a majority loses nothing.",
    Condition.BROKER_DROPPING: "Make room at the broker, and look up its limits; pumps send what has no receipt again.",
    Condition.INGEST_LAGGING: "See what slows the database down; readings are safe, and judged late.",
    Condition.ROLE_SILENT: "Start the process that is named again; look through the open alerts yourself until then.",
    Condition.DELIVERY_GIVEN_UP: "Tell those who were to be told yourself; mend the endpoint, then send again.",
    Condition.ENDPOINT_FAILING: "See why the endpoint fails; until then tell whoever is behind it in another way.",
    Condition.ENDPOINT_DISABLED: "Give the endpoint a working address and enable it, or delete it.",
    Condition.CANARY_LOST: "Look through the pumps and open alerts yourself now: real alerts may not arrive either.",
    Condition.DRILL: "Answer as you would if it were real: acknowledge it.",
}
