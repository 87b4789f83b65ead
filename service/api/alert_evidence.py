"""In which form is shown why an alert exists? As series for a chart, with what crossed which limit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from service.core import crossing
from service.core.change import Condition


class LimitInForce(BaseModel):
    name: str
    value: float
    unit: str
    meaning: str


class Crossed(BaseModel):
    statistic: str
    value: float
    limit: str
    limit_value: float
    unit: str


class AlertEvidence(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "alert_id": "0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
                    "pump_id": "p000017",
                    "condition": "stall",
                    "rulebook_version": "e3b0c44298fc1c14",
                    "began_at": "2026-11-22T19:59:00Z",
                    "detected_at": "2026-11-22T20:28:46Z",
                    "quantity": "flow_ml_d",
                    "columns": {
                        "measured_at": ["2026-11-22T20:27:46Z", "2026-11-22T20:28:46Z"],
                        "program_ml_d": [0.5, 0.5],
                        "flow_ml_d": [0.0, 0.0],
                    },
                    "limits": [
                        {"name": "missed_ul", "value": 10.0, "unit": "µL", "meaning": "so much was missed"},
                    ],
                    "crossed": [
                        {
                            "statistic": "missed_ul",
                            "value": 10.2,
                            "limit": "missed_ul",
                            "limit_value": 10.0,
                            "unit": "µL",
                        }
                    ],
                    "statistics": {"missed_ul": 10.2},
                }
            ]
        }
    )
    alert_id: UUID
    pump_id: str | None
    condition: Condition
    rulebook_version: str
    began_at: datetime = Field(description="Pump time: the onset.")
    detected_at: datetime = Field(description="Pump time: the reading that crossed the limit.")
    quantity: str = Field(description="The column that shows it.")
    columns: dict[str, list[Any]] = Field(
        description="Equally long lists: the readings from the onset to the one that decided; empty where none did."
    )
    limits: list[LimitInForce] = Field(description="As they were in force for the pump then.")
    crossed: list[Crossed] = Field(description="Which statistic was compared with which limit.")
    statistics: dict[str, float | str] = Field(description="All that was kept; `…_ms` is in ms since 1970, UTC.")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        evidence = msgspec.json.decode(row["evidence"], type=dict[str, Any])
        condition = Condition(row["condition"])
        names = ("pump_id", "condition", "rulebook_version", "began_at", "detected_at")
        columns = evidence.get("readings") or {}
        return cls(
            alert_id=row["id"],
            **{name: row[name] for name in names},
            quantity=crossing.quantity_of(condition),
            columns={name: values for name, values in columns.items() if isinstance(values, list)},
            limits=[LimitInForce(**limit._asdict()) for limit in crossing.limits_in(condition, evidence)],
            crossed=[Crossed(**each._asdict()) for each in crossing.crossings_in(condition, evidence)],
            statistics=crossing.statistics_in(evidence),
        )
