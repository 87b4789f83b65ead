"""How much memory does the state of the rules take? The arrays of a fleet, counted."""

import numpy as np

from service.core.fleet import Fleet, PumpEntry
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts

MEGABYTE = 1e6


def measure(pumps: int) -> float:
    """In MB, the ledger and the limits included."""
    fleet = Fleet(DEFAULT_RULEBOOK)
    facts = PumpFacts(DrugClass.BACLOFEN, flow_sensor=True, reservoir_sensor=True, capacity_ml=20.0, interval_s=60.0)
    fleet.enter([PumpEntry(number + 1, f"p{number}", facts) for number in range(pumps)])
    owners = (fleet, fleet.ledger, fleet.limits)
    arrays = [held for owner in owners for held in vars(owner).values() if isinstance(held, np.ndarray)]
    return sum(held.nbytes for held in arrays) / MEGABYTE
