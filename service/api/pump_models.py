"""In which form is a pump shown? Units are in the names, times are UTC."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from service.core.census import State, state_of
from service.core.change import Condition
from service.core.reading import DrugClass, Mode, boot_of, seq_of
from service.core.rulebook import Rulebook
from service.core.verdicts import Known, Verdict, is_heard, verdicts_of

EXAMPLE: Final[dict[str, Any]] = {
    "pump_id": "p000017",
    "site": "north",
    "time_zone": "Europe/Zurich",
    "model": "rotor-20",
    "flow_channel": "rotor",
    "reservoir_channel": "computed",
    "capacity_ml": 20.0,
    "drug": "baclofen",
    "drug_class": "baclofen",
    "concentration_ug_ml": 500.0,
    "interval_s": 60.0,
    "next_refill_on": "2026-12-31",
    "in_service": True,
    "simulated": True,
    "bolus_daily_cap_ul": 300.0,
    "implanted_on": "2023-05-17",
}


class Latest(BaseModel):
    """What the pump said last."""

    received_at: datetime = Field(description="Our clock.")
    measured_at: datetime = Field(description="The pump's clock, corrected by its offset.")
    boot: int
    seq: int
    mode: str
    program_ml_d: float
    program_ug_d: float | None = Field(description="The dose; null where the concentration is not known.")
    flow_ml_d: float
    reservoir_ml: float
    battery_v: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        strength = row["concentration_ug_ml"]
        program_ml_d = round(row["program_ml_d"], 4)
        return cls(
            received_at=row["received_at"],
            measured_at=row["measured_at"],
            boot=boot_of(row["position"]),
            seq=seq_of(row["position"]),
            mode=Mode(row["mode"]).name.lower(),
            program_ml_d=program_ml_d,
            program_ug_d=None if strength is None else round(program_ml_d * strength, 3),
            flow_ml_d=round(row["flow_ml_d"], 4),
            reservoir_ml=round(row["reservoir_ml"], 3),
            battery_v=round(row["battery_v"], 3),
        )


class TimeToEmpty(BaseModel):
    """When the reservoir runs dry, in days from the last reading; null where nothing is programmed."""

    nominal_d: float | None = Field(description="If it delivers as programmed.")
    conservative_d: float | None = Field(description="If it delivers as much more as it may, with all boluses allowed.")
    optimistic_d: float | None = Field(description="If it delivers as much less as it may.")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        named = {name: row[f"empty_{name}"] for name in cls.model_fields}
        return cls(**{name: None if days is None else round(days, 2) for name, days in named.items()})


class KnownVerdict(BaseModel):
    verdict: Verdict
    since: datetime | None = Field(description="Null where it has been so as long as we know the pump.")


@lru_cache(maxsize=4096)
def _known(verdict: Verdict, since: datetime | None) -> KnownVerdict:
    """A page holds a thousand of them, of which few differ."""
    return KnownVerdict(verdict=verdict, since=since)


@lru_cache(maxsize=4096)
def _verdicts(
    written: str,
    flow_channel: str,
    reservoir_channel: str,
    silent_since: datetime | None,
    *,
    bolus_cap: bool,
    programmed: bool,
    registered: bool,
    heard: bool,
) -> dict[Condition, KnownVerdict]:
    """Of all pumps of which the same is known: most of a page. Not to be changed."""
    told = msgspec.json.decode(written, type=dict[str, tuple[Verdict, datetime]])
    verdicts = verdicts_of(
        {condition: Known(*each) for condition, each in told.items()},
        flow_channel=flow_channel,
        reservoir_channel=reservoir_channel,
        bolus_cap=bolus_cap,
        programmed=programmed,
        registered=registered,
        silent_since=silent_since,
        heard=heard,
    )
    return {condition: _known(*each) for condition, each in verdicts.items()}


class Span(BaseModel):
    from_at: datetime
    until_at: datetime

    @classmethod
    def of(cls, from_at: datetime | None, until_at: datetime | None, now: datetime) -> Self | None:
        """None where there is none, or it is over."""
        if from_at is None or until_at is None or until_at <= now:
            return None
        return cls(from_at=from_at, until_at=until_at)


class Pump(BaseModel):
    """The registry entry, what was heard last, and what is known of each condition."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **EXAMPLE,
                    "registered": True,
                    "version": 3,
                    "updated_at": "2026-11-22T20:28:46Z",
                    "state": "heard",
                    "latest": {
                        "received_at": "2026-11-22T20:28:46.212Z",
                        "measured_at": "2026-11-22T20:28:46Z",
                        "boot": 7,
                        "seq": 18042,
                        "mode": "running",
                        "program_ml_d": 0.5,
                        "program_ug_d": 250.0,
                        "flow_ml_d": 0.497,
                        "reservoir_ml": 17.93,
                        "battery_v": 2.91,
                    },
                    "time_to_empty": {"nominal_d": 35.86, "conservative_d": 33.03, "optimistic_d": 37.97},
                    "open_alerts": 1,
                    "mri_window": None,
                    "absence": {"from_at": "2026-12-01T08:00:00Z", "until_at": "2026-12-15T20:00:00Z"},
                    "replaces": "p000003",
                    "replaced_by": None,
                    "verdicts": {
                        "stall": {"verdict": "holds", "since": "2026-11-22T19:59:00Z"},
                        "over_delivery": {"verdict": "not_available", "since": None},
                    },
                }
            ]
        }
    )
    pump_id: str
    site: str | None
    time_zone: str
    model: str
    flow_channel: str
    reservoir_channel: str
    capacity_ml: float
    drug: str
    drug_class: DrugClass
    concentration_ug_ml: float | None
    interval_s: float
    next_refill_on: date | None
    in_service: bool
    simulated: bool
    bolus_daily_cap_ul: float | None = Field(description="What patient boluses may add in 24 h; null: none.")
    implanted_on: date | None
    registered: bool = Field(description="False: heard, and in nobody's registry.")
    version: int = Field(description="Of the registry entry; also the ETag.")
    updated_at: datetime
    state: State = Field(description="What is seen of it first.")
    latest: Latest | None = Field(description="Null if no reading of it has come.")
    time_to_empty: TimeToEmpty | None = Field(description="Null before the first readings have been judged.")
    open_alerts: int
    mri_window: Span | None = Field(description="The exam that people have told of, until it is over.")
    absence: Span | None = Field(description="When its silence is expected, or will be.")
    replaces: str | None = Field(description="The pump whose place it took.")
    replaced_by: str | None
    verdicts: dict[Condition, KnownVerdict]

    @classmethod
    def of(cls, row: Mapping[str, Any], rulebook: Rulebook, now: datetime) -> Self:
        after_s = rulebook.silence_after_s(
            row["interval_s"], DrugClass(row["drug_class"]), site=row["site"], pump_id=row["pump_id"]
        )
        heard = is_heard(row["received_at"], after_s, now)
        silent_since = row["silent_since"]
        verdicts = _verdicts(
            row["written"],
            row["flow_channel"],
            row["reservoir_channel"],
            silent_since,
            bolus_cap=bool(row["bolus_daily_cap_ul"]),
            programmed=bool(row["program_ml_d"]),
            registered=row["registered"],
            heard=heard,
        )
        state = state_of(
            in_service=row["in_service"],
            silent=silent_since is not None,
            ever_heard=row["received_at"] is not None,
            heard=heard,
        )
        return cls(
            **{name: row[name] for name in _AS_STORED},
            state=state,
            mri_window=Span.of(row["mri_from_at"], row["mri_until_at"], now),
            absence=Span.of(row["absent_from_at"], row["absent_until_at"], now),
            latest=None if row["position"] is None else Latest.of(row),
            time_to_empty=TimeToEmpty.of(row) if row["empty_judged"] else None,
            verdicts=verdicts,
        )


_MADE: Final = frozenset({"latest", "verdicts", "time_to_empty", "state", "mri_window", "absence"})
_AS_STORED: Final = tuple(name for name in Pump.model_fields if name not in _MADE)


class PumpPage(BaseModel):
    items: list[Pump]
    next_cursor: str | None
