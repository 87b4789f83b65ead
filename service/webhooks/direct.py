"""How is an endpoint told that stands in the settings, and in no database? As every other: signed, under a deadline."""

import base64
import ssl
from collections.abc import Mapping
from datetime import datetime
from secrets import token_bytes
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID

from service.carriage import Claimed
from service.core.address import Allowed
from service.core.change import Priority
from service.core.delivery import Attempt
from service.core.formats import render
from service.core.webhook import PREFIX
from service.webhooks.destination import Checked
from service.webhooks.sender import HttpSender

ANSWER_WITHIN_S: Final = 4.0
_NOBODY: Final = UUID(int=0)


class DirectLine:
    """To one address, which need not be public: whoever runs the service has named it."""

    def __init__(self, url: str, secret: str, form: str = "pumpwatch", tls: ssl.SSLContext | None = None) -> None:
        # Nothing goes out unsigned: where there is no secret it is signed with one that nobody knows.
        self._secret = secret or PREFIX + base64.b64encode(token_bytes(32)).decode()
        self._url, self._form = url, form
        host = urlsplit(url).hostname or ""
        self._sender = HttpSender(tls, Checked(Allowed(frozenset({host}))))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sender.__aexit__(None, None, None)

    async def say(self, letter: str, body: Mapping[str, Any], now: datetime) -> Attempt:
        """Post once. `letter` is the webhook's id: the same for what is said again because it may not have arrived."""
        claimed = Claimed(
            notification_id=letter,
            lease_token=_NOBODY,
            deadline_s=ANSWER_WITHIN_S,
            kind="direct",
            priority=Priority.HIGH,
            attempts=0,
            failures=0,
            created_at=now,
            since=now,
            body=render(letter, body, self._form, None, None),
            endpoint=_NOBODY,
            endpoint_name="direct",
            alert_id=None,
            number=0,
            url=self._url,
            secrets=(self._secret,),
        )
        return await self._sender.post(claimed, now, ANSWER_WITHIN_S)
