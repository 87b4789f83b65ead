"""What is the canary? A pump of the service's own, whose faults go to an endpoint of its own, and to nobody else."""

from typing import Any, Final

import msgspec

from service.core.subject import pump_subject

PUMP_ID: Final = "pumpwatch-canary"
ENDPOINT: Final = "pumpwatch-canary"
SUBJECT: Final = pump_subject(PUMP_ID)
PROGRAM_ML_D: Final = 0.5

TELEMETRY: Final = f"pumps/v1/{PUMP_ID}/telemetry"
EVENT: Final = f"pumps/v1/{PUMP_ID}/event"


def reading(boot: int, seq: int, at_ms: int) -> bytes:
    """All is well with it."""
    columns = {
        "time_ms": [at_ms],
        "mode": ["running"],
        "program_ml_d": [PROGRAM_ML_D],
        "flow_ml_d": [PROGRAM_ML_D],
        "reservoir_ml": [18.0],
        "battery_v": [2.9],
    }
    return _encoded(boot, seq, columns)


def fault(boot: int, seq: int, at_ms: int) -> bytes:
    """It was reset by its battery: of high priority, and told at once."""
    return _encoded(boot, seq, {"time_ms": at_ms, "type": "device_alarm_raised", "code": "battery_reset"})


def mended(boot: int, seq: int, at_ms: int) -> bytes:
    """It was programmed again, with authority."""
    change = {"type": "program_changed", "program_ml_d": PROGRAM_ML_D, "mode": "running", "command_id": "canary"}
    return _encoded(boot, seq, {"time_ms": at_ms, **change})


def _encoded(boot: int, seq: int, said: dict[str, Any]) -> bytes:
    # It keeps nothing: what is lost on the way is lost, and the next fault shows whether the way holds.
    return msgspec.json.encode({"boot": boot, "seq": seq, "held_from": [boot, seq], "simulated": True, **said})
