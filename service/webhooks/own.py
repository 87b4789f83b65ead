"""How does the canary's webhook reach us, when webhooks may not go inside? By its address, and no other does."""

from dataclasses import dataclass
from datetime import datetime

from service.carriage import Claimed, Sender
from service.core.delivery import Attempt


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """`url` stands in the settings, so nobody who makes endpoints can choose it: what goes there may go inside."""

    url: str
    inside: Sender
    outside: Sender

    async def post(self, claimed: Claimed, now: datetime, timeout_s: float) -> Attempt:
        sender = self.inside if claimed.url == self.url else self.outside
        return await sender.post(claimed, now, timeout_s)
