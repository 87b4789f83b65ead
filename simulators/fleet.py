"""Which pumps are there? The fleet of a seed: where each is implanted, what it holds, how it is programmed."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple, TextIO
from zoneinfo import ZoneInfo

import numpy as np

from simulators import draws
from simulators.battery import replaced_after_s, used_after
from simulators.draws import Integers
from simulators.patients import NO_BOLUSES, Boluses
from simulators.programs import DAY_MS, Program
from simulators.pump import Nature, calibration_bias
from simulators.visits import due_ms

SENSOR_SHARE: Final = 0.4
TELLS_STALLS_SHARE: Final = 0.5  # of rotor pumps
PROGRAM_ML_D: Final = (0.2, 0.7)
USUAL_PROGRAM_ML_D: Final = 0.45
SMALL_UP_TO_ML_D: Final = 0.38  # boluses included; above it 20 mL do not last six weeks
FILL_SHARE: Final = (0.55, 0.95)  # far from any low-reservoir limit for at least a day

DEAD_UL: Final = (130.0, 420.0)  # a catheter's 130 to 220 uL, and up to 200 uL of tubing in the pump
CLOCK_PPM: Final = 50.0
LIFE_PASSED_SHARE: Final = (0.02, 0.70)  # of the time until its battery will ask to be replaced

FLEX_SHARE: Final = 0.15
FLEX_BY_WEEKDAY_SHARE: Final = 0.3  # of those
FLEX_UTC_SHARE: Final = 0.3  # likewise: the pump's own clock knows no time zone
FLEX_DAY: Final = ((0, 0.8), (360, 1.25), (720, 1.0), (1080, 1.1), (1320, 0.8))  # by minute of the day, x basal rate
FLEX_WEEKEND: Final = ((0, 0.8), (480, 1.15), (1320, 0.8))

BOLUS_SHARE_OF_DAY: Final = (0.02, 0.05)
BOLUSES_A_DAY: Final = (3, 6)  # as many as the cap allows
BOLUS_S: Final = (300.0, 1800.0)
LOCKOUT_H: Final = (1.0, 2.0, 3.0, 4.0)

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
    *("bolus_daily_cap_ul", "implanted_on"),
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
_SHARES: Final = np.cumsum([drug.share for drug in DRUGS])


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
    program_ml_d: float  # of a flex program the mean
    filled_ml: float  # in the reservoir at the start, as the pump computes it
    implanted_d: float  # how many days ago at the start

    bias: float
    battery_used: float
    dead_ul: float  # between reservoir and tip of the catheter
    clock_ppm: float
    visit_chance: float  # 0 … 1: how early its clinic plans
    tells_stalls: bool  # whether its model notices, and says, that its own rotor stands still
    basal: Program
    boluses: Boluses

    @property
    def model(self) -> str:
        kind = "sensor" if self.sensor else "rotor-s" if self.tells_stalls else "rotor"
        return f"simulated-{kind}-{self.capacity_ml:.0f}"

    @property
    def bolus_daily_cap_ul(self) -> float:
        """0: the patient can ask for none."""
        return self.boluses.daily_cap_ul

    @property
    def is_flex(self) -> bool:
        return bool(self.basal.days)

    @property
    def true_ml(self) -> float:
        """What is left in truth: the bias has been at work since the last refill."""
        return max(self.capacity_ml - (self.capacity_ml - self.filled_ml) * (1 + self.bias), 0.0)

    @property
    def use_ml_d(self) -> float:
        """What leaves the reservoir as the clinic reckons: the program and the usual boluses."""
        return self.program_ml_d + self.boluses.usual_ml_d

    def next_refill_on(self, on_ms: int) -> date:
        """The day of the first visit, if the fleet begins at `on_ms`."""
        visit_ms = due_ms(self.filled_ml, self.use_ml_d, on_ms, self.time_zone, self.visit_chance)
        return datetime.fromtimestamp(visit_ms / 1000, tz=ZoneInfo(self.time_zone)).date()

    def implanted_on(self, on_ms: int) -> date:
        """The day, if the fleet begins at `on_ms`."""
        return (datetime.fromtimestamp(on_ms / 1000, tz=UTC) - timedelta(days=self.implanted_d)).date()


def fleet_of(seed: int, pumps: int, *, prefix: str = "p", interval_s: float = 60.0) -> list[Implant]:
    """Describe pumps 1 to `pumps`. A pump is the same whatever the size of the fleet it is part of."""
    numbers = np.arange(1, pumps + 1)
    bias = calibration_bias(seed, numbers)
    columns = {
        purpose: draws.uniform(draws.keys_of(seed, numbers, purpose), 0).tolist()
        for purpose in (
            *("site", "sensor", "capacity", "drug", "dose", "fill", "life", "dead volume", "clock", "stalls"),
            *("flex", "flex days", "flex zone", "bolus", "cap", "bolus time", "lockout", "wishes", "visit"),
        )
    }
    fleet = []
    for index, number in enumerate(numbers.tolist()):
        chance = {purpose: column[index] for purpose, column in columns.items()}
        fleet.append(_implant(number, float(bias[index]), chance, prefix, interval_s))
    return fleet


def _implant(number: int, bias: float, chance: Mapping[str, float], prefix: str, interval_s: float) -> Implant:
    site, time_zone = SITES[int(chance["site"] * len(SITES))]
    drug = DRUGS[min(int(np.searchsorted(_SHARES, chance["drug"])), len(DRUGS) - 1)]
    concentration_ug_ml, rate_ml_d = _prescribe(drug, chance["dose"])
    basal = _basal(rate_ml_d, time_zone, chance)
    boluses = _boluses(basal.rate_ml_d, chance) if drug.drug_class == "opioid" else NO_BOLUSES
    small = chance["capacity"] < 0.5 and basal.rate_ml_d + boluses.usual_ml_d <= SMALL_UP_TO_ML_D
    capacity_ml = 20.0 if small else 40.0
    implanted_d = _between(LIFE_PASSED_SHARE, chance["life"]) * replaced_after_s(basal.rate_ml_d) / 86400
    return Implant(
        number=number,
        pump_id=f"{prefix}{number:06d}",
        site=site,
        time_zone=time_zone,
        sensor=chance["sensor"] < SENSOR_SHARE,
        capacity_ml=capacity_ml,
        drug=drug.name,
        drug_class=drug.drug_class,
        concentration_ug_ml=concentration_ug_ml,
        interval_s=interval_s,
        program_ml_d=round(basal.rate_ml_d, 4),
        filled_ml=round(capacity_ml * _between(FILL_SHARE, chance["fill"]), 3),
        implanted_d=implanted_d,
        bias=bias,
        battery_used=used_after(implanted_d * 86400, basal.rate_ml_d),
        dead_ul=_between(DEAD_UL, chance["dead volume"]),
        clock_ppm=CLOCK_PPM * (2 * chance["clock"] - 1),
        visit_chance=chance["visit"],
        tells_stalls=chance["sensor"] >= SENSOR_SHARE and chance["stalls"] < TELLS_STALLS_SHARE,
        basal=basal,
        boluses=boluses,
    )


def nature_of(fleet: Sequence[Implant], on_ms: int) -> Nature:
    """The fleet as the columns of the physics, if it begins at `on_ms`."""
    numbers: Integers = np.array([pump.number for pump in fleet], dtype=np.int64)
    return Nature(
        number=numbers,
        sensor=np.array([pump.sensor for pump in fleet], dtype=np.bool_),
        bias=np.array([pump.bias for pump in fleet]),
        reservoir_ml=np.array([pump.filled_ml for pump in fleet]),
        true_ml=np.array([pump.true_ml for pump in fleet]),
        battery_used=np.array([pump.battery_used for pump in fleet]),
        dead_ul=np.array([pump.dead_ul for pump in fleet]),
        tells_stalls=np.array([pump.tells_stalls for pump in fleet], dtype=np.bool_),
        implanted_ms=np.array([on_ms - round(pump.implanted_d * DAY_MS) for pump in fleet], dtype=np.int64),
        basal=[pump.basal for pump in fleet],
        boluses=[pump.boluses for pump in fleet],
    )


def write_registry(fleet: Sequence[Implant], file: TextIO, on_ms: int) -> None:
    """Write the registry CSV of docs/interface.md; refills are planned as seen at `on_ms`."""
    rows = csv.DictWriter(file, REGISTRY_COLUMNS, lineterminator="\n")
    rows.writeheader()
    for pump in fleet:
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
                "next_refill_on": pump.next_refill_on(on_ms).isoformat(),
                "in_service": "true",
                "simulated": "true",
                "bolus_daily_cap_ul": f"{pump.bolus_daily_cap_ul:g}" if pump.bolus_daily_cap_ul else "",
                "implanted_on": pump.implanted_on(on_ms).isoformat(),
            }
        )


def _prescribe(drug: Drug, chance: float) -> tuple[float, float]:
    """Pick a dose, the concentration that brings it nearest to the usual rate, and so the program."""
    low, high = drug.dose_ug_d
    dose_ug_d = low * (high / low) ** chance
    concentration = min(drug.concentrations_ug_ml, key=lambda each: abs(np.log(dose_ug_d / each / USUAL_PROGRAM_ML_D)))
    return concentration, round(float(np.clip(dose_ug_d / concentration, *PROGRAM_ML_D)), 3)


def _basal(rate_ml_d: float, time_zone: str, chance: Mapping[str, float]) -> Program:
    if chance["flex"] >= FLEX_SHARE:
        return Program(rate_ml_d)
    weekday, weekend = (
        tuple((at, round(rate_ml_d * factor, 3)) for at, factor in day) for day in (FLEX_DAY, FLEX_WEEKEND)
    )
    days = (*(weekday,) * 5, weekend, weekend) if chance["flex days"] < FLEX_BY_WEEKDAY_SHARE else (weekday,)
    return Program.flex(days, "UTC" if chance["flex zone"] < FLEX_UTC_SHARE else time_zone)


def _boluses(rate_ml_d: float, chance: Mapping[str, float]) -> Boluses:
    dose_ul = round(_between(BOLUS_SHARE_OF_DAY, chance["bolus"]) * rate_ml_d * 1000, 1)
    least, most = BOLUSES_A_DAY
    allowed = least + int(chance["cap"] * (most - least + 1))
    return Boluses(
        dose_ul=dose_ul,
        duration_s=60.0 * round(_between(BOLUS_S, chance["bolus time"]) / 60),
        lockout_s=3600 * LOCKOUT_H[int(chance["lockout"] * len(LOCKOUT_H))],
        daily_cap_ul=float(math.ceil(allowed * dose_ul)),
        wishes_a_day=0.6 * allowed * chance["wishes"],
    )


def _between(ends: tuple[float, float], chance: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * chance
