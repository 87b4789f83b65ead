"""How can somebody without an account acknowledge an alert? By a link that only the endpoint was sent.

A link is its own proof: which alert, told to which endpoint by which notification, until when, and a MAC over that. It
is the same for every attempt of a notification, so that retries send equal bodies. That it works once is the
database's to say.
"""

import base64
import binascii
import hmac
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

VALID_FOR: Final = timedelta(hours=24)
_VERSION: Final = 1
_FIELDS: Final = struct.Struct(">B16s16sII")
_MAC_BYTES: Final = 16  # nobody guesses one of 2**128
_LENGTH: Final = _FIELDS.size + _MAC_BYTES


class Refusal(StrEnum):
    """Why a link cannot be used."""

    UNKNOWN = "unknown"  # not one of ours, or changed on its way
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Link:
    alert_id: UUID
    endpoint: UUID
    number: int  # the notification's
    expires_at: datetime


def token_of(key: bytes, link: Link) -> str:
    """The text for a URL's path."""
    fields = _FIELDS.pack(
        _VERSION, link.alert_id.bytes, link.endpoint.bytes, link.number, int(link.expires_at.timestamp())
    )
    return base64.urlsafe_b64encode(fields + _mac(key, fields)).rstrip(b"=").decode()


def read_token(keys: Iterable[bytes], token: str, now: datetime) -> Link | Refusal:
    """Return what the token stands for, or why it cannot be used."""
    if len(token) > 2 * _LENGTH:
        return Refusal.UNKNOWN
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return Refusal.UNKNOWN
    if len(raw) != _LENGTH or raw[0] != _VERSION:
        return Refusal.UNKNOWN
    fields, mac = raw[: _FIELDS.size], raw[_FIELDS.size :]
    if not any(hmac.compare_digest(_mac(key, fields), mac) for key in keys):
        return Refusal.UNKNOWN
    _, alert, endpoint, number, expires_s = _FIELDS.unpack(fields)
    expires_at = datetime.fromtimestamp(expires_s, UTC)
    return Refusal.EXPIRED if now >= expires_at else Link(UUID(bytes=alert), UUID(bytes=endpoint), number, expires_at)


def _mac(key: bytes, fields: bytes) -> bytes:
    return hmac.digest(key, fields, "sha256")[:_MAC_BYTES]
