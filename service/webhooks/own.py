"""How does the canary's webhook reach us, when webhooks may not go inside? By its address, and no other does."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from service.carriage import Claimed, Sender
from service.core.address import Allowed
from service.core.delivery import Attempt
from service.settings import Settings
from service.webhooks.sender import pinned, trusted


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """`url` stands in the settings, so nobody who makes endpoints can choose it: what goes there may go inside."""

    url: str
    inside: Sender
    outside: Sender

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        sender = self.inside if claimed.url == self.url else self.outside
        return await sender.post(claimed, now, timeout_s)


def own_host(settings: Settings) -> Allowed:
    return Allowed(frozenset({urlsplit(settings.canary_address).hostname or ""}))


def own_tls(settings: Settings) -> ssl.SSLContext:
    """The API on this machine is known by the very certificate that it has, whatever name that is for."""
    if settings.api_cert_file is None or settings.canary_url:
        return trusted(settings.webhook_ca)
    return pinned(settings.api_cert_file)
