"""Where does the next page begin? An opaque text that says after which item, checked when it comes back."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from service.api.problems import wrong_field

T = TypeVar("T")

LAST_POSITION: Final = (1 << 63) - 1
FIRST_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT: Final = datetime(9999, 12, 31, tzinfo=UTC)

Position = Annotated[int, msgspec.Meta(ge=-1, le=LAST_POSITION)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class AfterPump(NamedTuple):
    pump_id: Annotated[str, msgspec.Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$")] = ""


class AfterPlace(NamedTuple):
    """In a list of pumps that is not in the order of their ids."""

    place: float
    pump_id: Annotated[str, msgspec.Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$")]


class AfterReading(NamedTuple):
    measured_at: Instant = FIRST_INSTANT
    position: Position = -1


class BeforePosition(NamedTuple):
    """Also of rows that are numbered."""

    position: Position = LAST_POSITION


class AfterAlert(NamedTuple):
    raised_at: Instant
    alert_id: UUID


class AfterDelivery(NamedTuple):
    created_at: Instant
    delivery_id: Annotated[str, msgspec.Meta(max_length=100, pattern="^[A-Za-z0-9_-]+$")]


def encode(*key: object) -> str:
    """The key of the last item of a page, as one of the shapes above."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def decode(text: str, shape: type[T]) -> T:
    """Return the key, in the shape in which it was encoded. Raises Problem."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        key = msgspec.json.decode(raw, type=shape)
    except (binascii.Error, ValueError):
        key = None
    if key is None or not _storable(key):
        raise wrong_field("query", "cursor", "not a cursor of this list; leave it out to begin at the start")
    return key


def _storable(key: Any) -> bool:
    """Whether the times are such as the database can hold in every time zone."""
    if any(isinstance(part, float) and not -1e300 < part < 1e300 for part in key):
        return False
    return all(FIRST_INSTANT <= part <= LAST_INSTANT for part in key if isinstance(part, datetime))
