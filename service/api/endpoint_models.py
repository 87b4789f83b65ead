"""In which form is an endpoint shown and set?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.core.change import Priority
from service.core.endpoint import ANSWER_WITHIN_S, MAX_NAME, MAX_REQUESTS, MAX_TEMPLATE, MAX_URL, Format
from service.core.template import NAMES

URL: Final = "https://clinic.example/pumpwatch"
TEMPLATE_TEXT: Final = f"Instead of a format: a JSON object as text, with {{{{name}}}} for {', '.join(NAMES)}."


class EndpointSettings(BaseModel):
    """Everything that a person may set; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(default=None, max_length=MAX_NAME, examples=["clinic"])
    url: str | None = Field(
        default=None,
        max_length=MAX_URL,
        examples=[URL],
        description="https, to a public address; others, and http, as PUMPWATCH_WEBHOOK_ALLOW says.",
    )
    accepts_simulated: bool | None = Field(default=None, description="Whether alerts of simulated pumps go there.")
    format: str | None = Field(default=None, description=f"One of {', '.join(Format)}.")
    template: str | None = Field(default=None, max_length=MAX_TEMPLATE, description=TEMPLATE_TEXT)
    routing_key: str | None = Field(default=None, max_length=64, description="PagerDuty's; never shown.")
    priorities: list[str] | None = Field(default=None, description="Of which priorities it is told; default: all.")
    answer_within_s: float | None = Field(
        default=None, description=f"{ANSWER_WITHIN_S[0]:g} to {ANSWER_WITHIN_S[1]:g}; default: 4 for high, else 15."
    )
    most_requests: int | None = Field(
        default=None, description=f"At a time, of each priority, 1 to {MAX_REQUESTS}; default: 4."
    )


class NewEndpoint(EndpointSettings):
    """The name and the address are needed; the rest has defaults."""

    name: str = Field(max_length=MAX_NAME, examples=["clinic"])
    url: str = Field(max_length=MAX_URL, examples=[URL], description="https, to a public address.")
    accepts_simulated: bool = Field(default=False, description="Whether alerts of simulated pumps go there.")


class Endpoint(BaseModel):
    id: UUID
    name: str = Field(examples=["clinic"])
    url: str = Field(examples=[URL])
    format: Format
    template: str | None
    has_routing_key: bool
    priorities: list[Priority]
    accepts_simulated: bool
    answer_within_s: float | None
    most_requests: int
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    version: int
    circuit: str = Field(description="closed, or open: it fails, and is only probed", examples=["closed"])
    circuit_opened_at: datetime | None
    failures_in_a_row: int
    pending: int = Field(description="What it has yet to be told.")
    former_secrets_until: list[datetime] = Field(description="Until when secrets from before a rotation sign too.")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        given = dict(row)
        given["former_secrets_until"] = given["former_secrets_until"] or []
        return cls(**given, circuit="open" if given["circuit_opened_at"] else "closed")


class EndpointList(BaseModel):
    items: list[Endpoint]


class MadeEndpoint(BaseModel):
    id: UUID
    name: str = Field(examples=["clinic"])
    secret: str = Field(examples=["whsec_…"], description="Signs what is sent there. Never shown again.")


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    both_for_s: float = Field(
        default=86_400, ge=0, le=30 * 86_400, description="So long the old secret signs beside the new one."
    )


class NewSecret(BaseModel):
    secret: str = Field(examples=["whsec_…"], description="Never shown again.")
    former_secrets_until: list[datetime]


class Fired(BaseModel):
    delivery_id: str = Field(description="See `/deliveries/{id}`.")


class Deleted(BaseModel):
    id: UUID


class Preview(BaseModel):
    """What would be sent of a made-up alert."""

    model_config = ConfigDict(extra="forbid")
    format: str = Field(default=Format.PUMPWATCH, description=f"One of {', '.join(Format)}.")
    template: str | None = Field(default=None, max_length=MAX_TEMPLATE, description=TEMPLATE_TEXT)
    type: str = Field(
        default="alert.activated",
        pattern=r"^alert\.(activated|priority_rose|escalated|repeated|reminder|acknowledged|resolved)$",
    )


class Previewed(BaseModel):
    content_type: str = "application/json"
    body: dict[str, Any]
