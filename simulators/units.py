"""What does a person mean by "20 min", "140 %" or "+2 h"? Numbers with units, as scenarios and commands have them."""

import re
from typing import Final

from simulators.faults import Trait, said

MS: Final = {"s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_557_600_000}
_NUMBER: Final = r"[+-]?\d+(?:\.\d+)?"
_DURATION: Final = re.compile(rf"({_NUMBER})\s*({'|'.join(MS)})\b")
_QUANTITY: Final = re.compile(rf"({_NUMBER})\s*(\S*)")
_SPELLINGS: Final = {"µL": "uL", "μL": "uL", "µg/mL": "ug/mL", "μg/mL": "ug/mL", "times": "x"}


def duration_ms(text: object) -> int:
    """`"20 min"`, `"3 d"`, `"1 h 30 min"`; raises ValueError, in words, for anything else."""
    if not isinstance(text, str) or not text.strip() or _DURATION.sub("", text).strip():
        raise ValueError(f'{text!r} is no duration; write "20 min", "2 h" or "3 d"')
    return round(sum(float(number) * MS[unit] for number, unit in _DURATION.findall(text)))


def quantity(text: object, unit: str) -> float:
    """A number in one unit; per cent become a share of one. Raises ValueError, in words."""
    found = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    written = _SPELLINGS.get(found[2], found[2]) if found else None
    if found is None or written != unit:
        raise ValueError(f"{text!r} is not in {unit}; write for example {said(1.0, unit)!r}")
    return float(found[1]) / (100 if unit.startswith("%") else 1)


def value_of(text: object, trait: Trait, onset_ms: int) -> float:
    """The value of a fault as `TRAITS` has it; hours also as any duration, or `"1970"`: back to where clocks begin."""
    if not trait.unit:
        raise ValueError("takes no value")
    if trait.unit == "h":
        value = -onset_ms / MS["h"] if text == "1970" else duration_ms(text) / MS["h"]
    else:
        value = quantity(text, trait.unit)
    if not trait.low <= value <= trait.high:
        raise ValueError(f"{text} is not from {said(trait.low, trait.unit)} to {said(trait.high, trait.unit)}")
    return value
