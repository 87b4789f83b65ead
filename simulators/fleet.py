"""Which pumps are there? The fleet of a seed: where each is implanted, what it holds, how it is programmed."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TextIO

import numpy as np

from simulators import draws
from simulators.pump import Integers, Nature, calibration_bias

SENSOR_SHARE: Final = 0.4
PROGRAM_ML_D: Final = (0.2, 1.0)
USUAL_PROGRAM_ML_D: Final = 0.45
FILL_SHARE: Final = (0.55, 0.95)  # far from any low-reservoir limit for at least a day
REFILL_RESERVE_ML: Final = 2.0
REFILL_AHEAD_D: Final = 4.0  # before the low-reservoir date, as clinics do it

SITES: Final = (
    ("north", "Europe/Oslo"),
    ("south", "Europe/Rome"),
    ("east", "Europe/Warsaw"),
    ("west", "Europe/Dublin"),
)

REGISTRY_COLUMNS: Final = (
    *(
        "pump_id",
        "site",
        "time_zone",
        "model",
        "flow_channel",
        "reservoir_channel",
        "capacity_ml",
        "drug",
        "drug_class",
    ),
    *("concentration_ug_ml", "interval_s", "next_refill_on", "in_service", "simulated"),
)


class Drug(NamedTuple):
    name: str
    drug_class: str
    share: float
    dose_ug_d: tuple[float, float]
    concentrations_ug_ml: tuple[float, ...]


# Doses as published for chronic therapy (docs/rules.md); concentrations are common ones, the opioids' assumed.
DRUGS: Final = (
    Drug("baclofen", "baclofen", 0.35, (100, 800), (500, 1000, 2000)),
    Drug("morphine", "opioid", 0.25, (1000, 15000), (5000, 10000, 25000)),
    Drug("hydromorphone", "opioid", 0.15, (500, 10000), (2000, 5000, 10000)),
    Drug("clonidine", "clonidine", 0.10, (250, 1000), (500, 1000, 2000)),
    Drug("ziconotide", "ziconotide", 0.08, (5, 19), (25,)),
    Drug("bupivacaine", "bupivacaine", 0.07, (6000, 20000), (10000, 20000, 40000)),
)


@dataclass(frozen=True, slots=True)
class Implant:
    """One pump as the registry knows it, and below that what only the simulation knows."""

    number: int
    pump_id: str
    site: str
    time_zone: str
    sensor: bool
    capacity_ml: float
    drug: str
    drug_class: str
    concentration_ug_ml: float
    interval_s: float
    program_ml_d: float
    filled_ml: float  # in the reservoir at the start, as the pump computes it

    bias: float
    battery_used: float

    @property
    def model(self) -> str:
        return f"simulated-{'sensor' if self.sensor else 'rotor'}-{self.capacity_ml:.0f}"

    @property
    def true_ml(self) -> float:
        """What is left in truth: the bias has been at work since the last refill."""
        return max(self.capacity_ml - (self.capacity_ml - self.filled_ml) * (1 + self.bias), 0.0)


def fleet_of(seed: int, pumps: int, *, prefix: str = "p", interval_s: float = 60.0) -> list[Implant]:
    """Describe pumps 1 to `pumps`. A pump is the same whatever the size of the fleet it is part of."""
    numbers = np.arange(1, pumps + 1)
    bias = calibration_bias(seed, numbers)
    chance = {
        purpose: draws.uniform(draws.keys_of(seed, numbers, purpose), 0)
        for purpose in ("site", "sensor", "capacity", "drug", "dose", "fill", "battery")
    }
    shares = np.cumsum([drug.share for drug in DRUGS])
    fleet = []
    for index, number in enumerate(numbers.tolist()):
        site, time_zone = SITES[int(chance["site"][index] * len(SITES))]
        drug = DRUGS[min(int(np.searchsorted(shares, chance["drug"][index])), len(DRUGS) - 1)]
        concentration_ug_ml, program_ml_d = _prescribe(drug, float(chance["dose"][index]))
        capacity_ml = 20.0 if chance["capacity"][index] < 0.5 else 40.0
        fill = FILL_SHARE[0] + (FILL_SHARE[1] - FILL_SHARE[0]) * float(chance["fill"][index])
        fleet.append(
            Implant(
                number=number,
                pump_id=f"{prefix}{number:06d}",
                site=site,
                time_zone=time_zone,
                sensor=bool(chance["sensor"][index] < SENSOR_SHARE),
                capacity_ml=capacity_ml,
                drug=drug.name,
                drug_class=drug.drug_class,
                concentration_ug_ml=concentration_ug_ml,
                interval_s=interval_s,
                program_ml_d=program_ml_d,
                filled_ml=round(capacity_ml * fill, 3),
                bias=float(bias[index]),
                battery_used=0.6 * float(chance["battery"][index]),
            )
        )
    return fleet


def nature_of(fleet: Sequence[Implant]) -> Nature:
    """The fleet as the columns of the physics."""
    numbers: Integers = np.array([pump.number for pump in fleet], dtype=np.int64)
    return Nature(
        number=numbers,
        sensor=np.array([pump.sensor for pump in fleet], dtype=np.bool_),
        bias=np.array([pump.bias for pump in fleet]),
        reservoir_ml=np.array([pump.filled_ml for pump in fleet]),
        true_ml=np.array([pump.true_ml for pump in fleet]),
        battery_used=np.array([pump.battery_used for pump in fleet]),
    )


def write_registry(fleet: Sequence[Implant], file: TextIO, on_ms: int) -> None:
    """Write the registry CSV of docs/interface.md; refills are planned as seen at `on_ms`."""
    rows = csv.DictWriter(file, REGISTRY_COLUMNS, lineterminator="\n")
    rows.writeheader()
    for pump in fleet:
        left_d = (pump.filled_ml - REFILL_RESERVE_ML) / pump.program_ml_d - REFILL_AHEAD_D
        refill_on = datetime.fromtimestamp(on_ms / 1000, tz=UTC) + timedelta(days=left_d)
        rows.writerow(
            {
                "pump_id": pump.pump_id,
                "site": pump.site,
                "time_zone": pump.time_zone,
                "model": pump.model,
                "flow_channel": "sensor" if pump.sensor else "rotor",
                "reservoir_channel": "sensor" if pump.sensor else "computed",
                "capacity_ml": f"{pump.capacity_ml:g}",
                "drug": pump.drug,
                "drug_class": pump.drug_class,
                "concentration_ug_ml": f"{pump.concentration_ug_ml:g}",
                "interval_s": f"{pump.interval_s:g}",
                "next_refill_on": refill_on.date().isoformat(),
                "in_service": "true",
                "simulated": "true",
            }
        )


def _prescribe(drug: Drug, chance: float) -> tuple[float, float]:
    """Pick a dose, the concentration that brings it nearest to the usual rate, and so the program."""
    low, high = drug.dose_ug_d
    dose_ug_d = low * (high / low) ** chance
    concentration = min(drug.concentrations_ug_ml, key=lambda each: abs(np.log(dose_ug_d / each / USUAL_PROGRAM_ML_D)))
    return concentration, round(float(np.clip(dose_ug_d / concentration, *PROGRAM_ML_D)), 3)
