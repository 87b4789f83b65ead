"""What do conditions share that a step decides? They end after enough covered time without a reason for them."""

import numpy as np
import numpy.typing as npt

from service.core.reading import Items
from service.core.rules.step import Step
from service.core.state import Columns, Field


def hold(
    state: Columns,
    level: Field,
    clear: tuple[Field, Field],
    begins: npt.NDArray[np.bool_],
    reason: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    step: Step,
    limits: Items,
    section: str,
) -> None:
    """Begin where `begins`; end after clear_for_s of covered time and clear_steps steps in a row without `reason`.

    A step in which it is not `known` whether there is a reason says neither: it freezes the count.
    """
    clear_for, clear_steps = clear
    holds = state[level] > 0
    quiet_ms = np.where(reason & known, 0.0, state[clear_for] + known * step.covered_ms)
    quiet_steps = np.where(reason & known, 0.0, state[clear_steps] + known)
    ends = (
        holds
        & (quiet_ms >= limits[f"{section}_clear_for_s"] * 1000)
        & (quiet_steps >= limits[f"{section}_clear_steps"])
    )
    counting = holds & ~ends
    state[clear_for] = np.where(counting, quiet_ms, 0.0)
    state[clear_steps] = np.where(counting, quiet_steps, 0.0)
    state[level] = np.where(holds, np.where(ends, 0.0, state[level]), begins * 1.0)
