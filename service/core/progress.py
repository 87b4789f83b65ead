"""How far has an alert come with its policy? Kept with the alert, with the policy as it was when the alert asked."""

from datetime import datetime

import msgspec

from service.core.policy import Policy


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """All times are ours."""

    policy: Policy
    began_at: datetime
    steps_told: int = 0
    told_at: datetime | None = None  # the last time that anybody was told to act
    told_number: int = 0  # the history row that told them
    first_number: int = 0  # the one with which it began to ask
    repeats: int = 0
    reminded_at: datetime | None = None
    instead_of: str = ""  # the policy that reached nobody
