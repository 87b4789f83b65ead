"""What comes of an attempt, and the two steps of a worker around it: claim, record."""

from service.carriage import Claimed
from service.core.delivery import Attempt, Outcome
from service.postgres.outbox import PostgresOutbox
from tests.webhooks.rows import now

DELIVERED = Attempt(Outcome.DELIVERED, 204, 12.5)
FAILED = Attempt(Outcome.SERVER_ERROR, 503, 12.5, "Service Unavailable", headers={"webhook-id": "n"}, answer="no\0")
GONE = Attempt(Outcome.GONE, 410, 12.5, "Gone")


async def claim(outbox: PostgresOutbox, limit: int = 100) -> list[Claimed]:
    return await outbox.claim(limit)


async def record(outbox: PostgresOutbox, claimed: Claimed, attempt: Attempt, wait_s: float | None) -> bool:
    return (await outbox.record(claimed, attempt, now(), wait_s)).held
