"""Who asks more than anybody needs? Whoever is known is counted by name, everybody else by address.

Many people share an address behind a NAT, so it must not count against those who are known: what somebody holds who
was let in before is recognised here, before the database is asked. An address pays for what is not known, and gets it
back as soon as the database knows it.
"""

import logging
import math
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from uuid import UUID

from starlette.requests import HTTPConnection

from service.api.problems import Problem
from service.core.allowance import MOST_KEPT, Allowance
from service.core.caller import caller_of, parse_proxies
from service.logs import tell
from service.metrics import Metrics
from service.postgres.accounts import Account, hash_of
from service.settings import Settings

AT_ONCE_S: Final = 5.0
"""What may be asked at once is what may be asked in so long: a page begins with a dozen requests."""
_TOLD_EVERY_S: Final = 60.0

ElapsedS = Callable[[], float]


class Throttle:
    """In the memory of this process: another one that answers the API counts for itself."""

    def __init__(self, settings: Settings, metrics: Metrics, elapsed_s: ElapsedS = time.monotonic) -> None:
        of_account, of_address = settings.api_requests_per_s, settings.api_strangers_per_s
        self._proxies = parse_proxies(settings.api_proxies)
        self._metrics = metrics
        self._elapsed_s = elapsed_s
        self._of_account = Allowance(of_account, of_account * AT_ONCE_S)
        self._of_address = Allowance(of_address, of_address * AT_ONCE_S)
        self._lines = Allowance(1 / _TOLD_EVERY_S, 1)
        self._known: dict[bytes, Account] = {}

    def address_of(self, request: HTTPConnection) -> str:
        """Where the request comes from; behind proxies of ours, where it came from to them."""
        peer = request.client.host if request.client else ""
        return caller_of(peer, request.headers.getlist("x-forwarded-for"), self._proxies)

    def of_stranger(self, address: str, what: str = "") -> None:
        """Count a request that nobody is known to have sent; `what` has an account of its own. Raises Problem (429)."""
        if wait_s := self._of_address.take((address, what), self._elapsed_s()):
            self._refuse("address", wait_s)

    def admit(self, held: str, request: HTTPConnection) -> str | None:
        """Count a request of whoever holds this token or session, before it is looked up. Raises Problem (429).

        Returns the address that has paid for it; None: the account has.
        """
        known = self._known.pop(print_ := hash_of(held), None) if held else None
        if known is None:
            self.of_stranger(address := self.address_of(request))
            return address
        self._known[print_] = known  # the last again
        self._count(known)
        return None

    def recognise(self, held: str, account: Account, paid: str | None) -> None:
        """It was looked up, and is this account's. Raises Problem (429)."""
        if paid is None:
            return
        self._of_address.give_back((paid, ""))
        self._known[hash_of(held)] = account
        if len(self._known) > MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._count(account)

    def forget(self, held: str) -> None:
        """It was looked up, and is nobody's, or nobody's any more."""
        self._known.pop(hash_of(held), None)

    def _count(self, account: Account) -> None:
        if wait_s := self._of_account.take(account.id, self._elapsed_s()):
            self._refuse("account", wait_s, account.id)

    def _refuse(self, kind: str, wait_s: float, account: UUID | None = None) -> None:
        self._metrics.requests_throttled.labels(kind).inc()
        if not self._lines.take((kind, account), self._elapsed_s()):
            # By its id: a name is a person's, and so is an address, which is for the proxy or the firewall to tell.
            of_whom = {} if account is None else {"account": account}
            tell("requests_throttled", logging.WARNING, by=kind, **of_whom)
        after_s = max(1, math.ceil(wait_s))
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"too many requests of this {kind}: try again in {after_s} s",
            headers={"Retry-After": str(after_s)},
        )
