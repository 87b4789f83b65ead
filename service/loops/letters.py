"""What exactly is sent? The stored body with the links that only the sender can make, in the endpoint's own form."""

from dataclasses import dataclass

import msgspec

from service.carriage import Claimed
from service.core.bodies import with_links
from service.core.delivery import ASKS_NOTHING
from service.core.formats import render
from service.core.link import VALID_FOR, Link, token_of


@dataclass(frozen=True, slots=True)
class Letters:
    """`public_url` is where people reach us, `link_key` signs acknowledgement links; without either there are none."""

    public_url: str = ""
    link_key: bytes | None = None

    def write(self, claimed: Claimed) -> bytes:
        """Equal bytes for every attempt of a notification."""
        own = msgspec.json.decode(claimed.body)
        own = with_links(own, self._board_url(claimed), self._acknowledge_url(claimed))
        return render(claimed.notification_id, own, claimed.format, claimed.template, claimed.routing_key)

    def _board_url(self, claimed: Claimed) -> str:
        return f"{self.public_url}/alerts/{claimed.alert_id}" if self.public_url and claimed.alert_id else ""

    def _acknowledge_url(self, claimed: Claimed) -> str:
        if not (self.public_url and self.link_key and claimed.alert_id) or claimed.kind in ASKS_NOTHING:
            return ""
        expires_at = claimed.since.replace(microsecond=0) + VALID_FOR
        link = Link(claimed.alert_id, claimed.endpoint, claimed.number, expires_at)
        return f"{self.public_url}/a/{token_of(self.link_key, link)}"
