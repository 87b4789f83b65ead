"""Which headers does a webhook carry? Those of Standard Webhooks 1.0, signed with HMAC-SHA256."""

# The library `standardwebhooks` verifies these in the tests instead of making them: its `sign` takes the wall time of
# any zone for UTC and a text for a body, and its verdict is worth more when it is not on its own work.

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

PREFIX = "whsec_"
TOLERANCE_S: Final = 300
"""A signature that is older, or from so far ahead, is not believed: that of the standard's libraries."""


class BadSecretError(ValueError):
    """A secret is not `whsec_` and the base64 of 24 to 64 bytes. The text never contains it."""


def headers(notification_id: str, at: datetime, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """Sign `body` for one attempt made at `at`; with several secrets (while they are rotated) any of them verifies.

    Raises BadSecretError; also if there is no secret: nothing is ever sent unsigned.
    """
    timestamp = str(int(at.timestamp()))
    content = b".".join((notification_id.encode(), timestamp.encode(), body))
    signatures = [_signature(key(secret), content) for secret in secrets]
    if not signatures:
        raise BadSecretError("there is no webhook secret")
    return {
        "webhook-id": notification_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def verifies(given: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
    """Whether what came with these headers (names in lower case) was signed with our secret, and of late."""
    notification_id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_S:
        return False
    expected = _signature(key(secret), b".".join((notification_id.encode(), timestamp.encode(), body)))
    signatures = given.get("webhook-signature", "").split()
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in signatures)


def key(secret: str) -> bytes:
    """Take the bytes out of a `whsec_…` secret. Raises BadSecretError."""
    if not secret.startswith(PREFIX):
        raise BadSecretError(f"a webhook secret begins with {PREFIX}")
    text = secret.removeprefix(PREFIX)
    try:
        bytes_ = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecretError(f"a webhook secret is {PREFIX} and base64") from None
    if not 24 <= len(bytes_) <= 64:
        raise BadSecretError("a webhook secret has 24 to 64 bytes")
    return bytes_


def _signature(key_bytes: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key_bytes, content, "sha256")).decode()
