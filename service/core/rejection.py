"""Why was a message not taken? A bounded list of reasons: quarantine's column, and the label of its counter."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_DETAIL_CHARACTERS: Final = 200


class Reason(StrEnum):
    BAD_TOPIC = "bad_topic"  # not pumps/v1/{pump_id}/{kind}, or no such pump id can be
    UNKNOWN_KIND = "unknown_kind"  # the topic's last level is not telemetry, event or status
    TOO_LARGE = "too_large"
    NOT_AN_OBJECT = "not_an_object"  # neither a JSON object nor a MessagePack map
    TRUNCATED = "truncated"  # the payload ends before its value does, or is empty
    MALFORMED = "malformed"  # not JSON, not MessagePack
    BAD_ENCODING = "bad_encoding"  # a string is not UTF-8
    TOO_DEEP = "too_deep"
    MISSING_KEY = "missing_key"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_MODE = "unknown_mode"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_CODE = "unknown_code"  # an event's `reason` or `code` is not in the list
    NO_READINGS = "no_readings"
    TOO_MANY_READINGS = "too_many_readings"
    UNEQUAL_COLUMNS = "unequal_columns"
    TIME_BACKWARDS = "time_backwards"
    HELD_FROM_AHEAD = "held_from_ahead"  # the pump says it forgot what it is just sending
    IMPLAUSIBLE_BOOT = "implausible_boot"  # more restarts ahead than can be
    ENROLMENT_CLOSED = "enrolment_closed"
    WRONG_SHARD = "wrong_shard"  # in a cluster: published past the broker's mapping
    CONFLICTS_WITH_STORED = "conflicts_with_stored"  # the same position and time were stored with other values
    REPEATED = "repeated"  # one of many of a pump that brought nothing new: the others are only counted
    REFUSED_BY_STORE = "refused_by_store"  # the database cannot hold it


@dataclass(frozen=True, slots=True)
class Rejection:
    """`message` is the index of the message in its batch; `detail` one line for a person."""

    message: int
    reason: Reason
    detail: str


def one_line(text: str) -> str:
    """Make `text`, which may quote a hostile payload, short and printable."""
    shown = text[:MAX_DETAIL_CHARACTERS]
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode("ascii")[:MAX_DETAIL_CHARACTERS]
