"""What is an alert about? A pump, a site, or the service itself."""

from dataclasses import dataclass
from typing import Final

from service.core.reading import DrugClass

NO_PUMP: Final = 0
"""In place of a pump's row number, where it is a site or the service."""


def pump_subject(pump_id: str) -> str:
    return f"pump:{pump_id}"


def site_subject(site: str) -> str:
    return f"site:{site}"


def is_site(subject: str) -> bool:
    return subject.startswith("site:")


def site_of(subject: str) -> str:
    return subject.removeprefix("site:")


def service_subject(part: str) -> str:
    """`part` says which of the service: a shard, the storage, an endpoint."""
    return f"service:{part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an alert and its notifications need to know of what they are about. A site or the service has no pump."""

    name: str  # pump:ID, site:NAME or service:PART
    pump: int = NO_PUMP
    pump_id: str | None = None
    site: str | None = None
    drug_class: DrugClass = DrugClass.UNKNOWN
    concentration_ug_ml: float | None = None
    simulated: bool = False
    in_service: bool = True  # nothing is raised of a pump that is not
    time_zone: str = "UTC"
