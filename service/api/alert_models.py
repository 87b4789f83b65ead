"""In which form is an alert shown? What was found, what people did, and everybody who was told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from service.core.alert import AlertEvent, AlertState, Reason
from service.core.change import Condition, Kind, Priority
from service.core.delivery import Outcome
from service.core.reading import boot_of, seq_of
from service.core.rulebook import Rulebook

_EXAMPLE: Final[dict[str, Any]] = {
    "id": "0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
    "subject": "pump:p000017",
    "pump_id": "p000017",
    "site": "north",
    "condition": "stall",
    "kind": "physiological",
    "priority": "high",
    "state": "active",
    "state_since": "2026-11-22T20:28:46Z",
    "latching": True,
    "began_at": "2026-11-22T19:59:00Z",
    "detected_at": "2026-11-22T20:28:46Z",
    "raised_at": "2026-11-22T20:28:46.231Z",
    "resolved_at": None,
    "found_late": False,
    "reason": "in_order",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "previous_id": None,
    "inhibited_by": None,
    "shelved_until": None,
    "shelved_by": None,
    "shelf_reason": None,
    "chattering": False,
    "policy": "ward",
    "escalate_at": "2026-11-22T20:33:46.231Z",
    "simulated": True,
    "rulebook_version": "e3b0c44298fc1c14",
    "version": 1,
}


class Alert(BaseModel):
    """One condition of one pump, site or part of the service, from its onset until resolved."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    id: UUID
    subject: str = Field(description="What it is about: pump:ID, site:NAME or service:PART.")
    pump_id: str | None = Field(description="Null where it is not about a pump.")
    site: str | None
    condition: Condition
    kind: Kind
    priority: Priority
    state: AlertState
    state_since: datetime
    latching: bool = Field(description="Outlives its condition until a person resets it.")
    began_at: datetime = Field(description="Pump time: the onset.")
    detected_at: datetime = Field(description="Pump time: the reading that crossed the limit.")
    raised_at: datetime = Field(description="Our time.")
    resolved_at: datetime | None
    found_late: bool
    reason: Reason
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    previous_id: UUID | None
    inhibited_by: UUID | None = Field(description="The alert that tells of this one as well: nobody is told of this.")
    shelved_until: datetime | None = Field(description="Nobody is told of it before; `shelf_reason` says why.")
    shelved_by: str | None
    shelf_reason: str | None
    chattering: bool = Field(description="More than three episodes in 24 h: later ones are told of only if they last.")
    policy: str | None = Field(description="By which it escalates, as it was when the alert asked.")
    escalate_at: datetime | None = Field(description="When something is to be done for it next.")
    simulated: bool
    rulebook_version: str
    version: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{name: row[name] for name in Alert.model_fields})


class AlertPage(BaseModel):
    items: list[Alert]
    next_cursor: str | None


class HistoryEntry(BaseModel):
    number: int
    at: datetime = Field(description="Our time.")
    event: AlertEvent
    actor: str
    note: str
    boot: int | None = Field(description="With `seq`: the reading that caused it, where one did.")
    seq: int | None
    state: AlertState
    priority: Priority

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        position = row["position"]
        given = {name: row[name] for name in cls.model_fields if name not in {"boot", "seq"}}
        if position is None:
            return cls(**given, boot=None, seq=None)
        return cls(**given, boot=boot_of(position), seq=seq_of(position))


class Try(BaseModel):
    """One request to the endpoint, and what it came to."""

    number: int
    at: datetime
    outcome: Outcome
    status: int | None = Field(description="The HTTP status, where there was an answer.")
    duration_ms: float
    detail: str


class Told(BaseModel):
    """One thing that one endpoint was to be told. Its id is the `webhook-id` of every attempt."""

    id: str
    endpoint: str
    kind: str
    priority: Priority
    state: str = Field(description="pending, delivered, failed or collapsed")
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    attempts: list[Try]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        given = {name: row[name] for name in cls.model_fields if name != "attempts"}
        return cls(**given, attempts=msgspec.json.decode(row["tries"]))


class Inhibits(BaseModel):
    pumps: int
    first: list[str] = Field(description="The first twenty of their ids.")


class AlertDetail(Alert):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "do_now": "Reach the patient now and have the pump interrogated.",
                    "evidence": {"missed_ul": 10.0},
                    "history": [
                        {
                            "number": 1,
                            "at": "2026-11-22T20:28:46.231Z",
                            "event": "condition_began",
                            "actor": "rules",
                            "note": "",
                            "boot": 7,
                            "seq": 18042,
                            "state": "active",
                            "priority": "high",
                        }
                    ],
                    "inhibits": {"pumps": 0, "first": []},
                    "notifications": [
                        {
                            "id": "msg_2f1c",
                            "endpoint": "clinic",
                            "kind": "activated",
                            "priority": "high",
                            "state": "delivered",
                            "created_at": "2026-11-22T20:28:46.231Z",
                            "due_at": "2026-11-22T20:28:46.231Z",
                            "settled_at": "2026-11-22T20:28:46.302Z",
                            "attempts": [
                                {
                                    "number": 1,
                                    "at": "2026-11-22T20:28:46.250Z",
                                    "outcome": "delivered",
                                    "status": 204,
                                    "duration_ms": 41.7,
                                    "detail": "",
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    )
    do_now: str
    evidence: dict[str, Any] = Field(description="The limits, statistics and span that decided.")
    history: list[HistoryEntry]
    notifications: list[Told]
    inhibits: Inhibits = Field(description="The pumps whose own alerts this one tells of.")

    @classmethod
    def whole(
        cls,
        row: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]],
        notifications: Sequence[Mapping[str, Any]],
        inhibited: Sequence[Mapping[str, Any]],
        rulebook: Rulebook,
    ) -> Self:
        return cls(
            **{name: row[name] for name in Alert.model_fields},
            do_now=rulebook.do_now(Condition(row["condition"])),
            evidence=msgspec.json.decode(row["evidence"]),
            history=[HistoryEntry.of(entry) for entry in history],
            notifications=[Told.of(told) for told in notifications],
            inhibits=Inhibits(
                pumps=inhibited[0]["pumps"] if inhibited else 0, first=[row["pump_id"] for row in inhibited]
            ),
        )
