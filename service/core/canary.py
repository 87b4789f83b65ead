"""What is the canary? A pump of the service's own, whose faults go to an endpoint of its own, and to nobody else."""

from typing import Final

from service.core.subject import pump_subject

PUMP_ID: Final = "pumpwatch-canary"
ENDPOINT: Final = "pumpwatch-canary"
SUBJECT: Final = pump_subject(PUMP_ID)
