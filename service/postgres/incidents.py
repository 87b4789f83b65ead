"""All that is stored of one alert, for the report that is printed of it."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from service.core.change import Condition
from service.core.incident import Incident
from service.core.rulebook import Rulebook
from service.postgres import alert_queries

_FACTS: Final = (
    *("id", "subject", "site", "condition", "priority", "state", "began_at", "detected_at", "raised_at"),
    *("resolved_at", "acknowledged_at", "acknowledged_by", "policy", "previous_id", "inhibited_by", "shelved_until"),
    *("chattering", "simulated", "rulebook_version"),
)


async def incident(
    connection: asyncpg.Connection, alert_id: UUID, rulebook: Rulebook, now: datetime
) -> Incident | None:
    """None if there is no such alert."""
    row = await alert_queries.alert(connection, alert_id)
    if row is None:
        return None
    condition = Condition(row["condition"])
    notifications = [dict(each) for each in await alert_queries.notifications(connection, alert_id)]
    return Incident(
        title=f"{condition.replace('_', ' ').capitalize()}, {row['subject'].partition(':')[2]}",
        do_now=rulebook.do_now(condition),
        facts=[(name.replace("_", " "), row[name]) for name in _FACTS],
        evidence=msgspec.json.decode(row["evidence"]),
        history=[dict(each) for each in await alert_queries.history(connection, alert_id)],
        notifications=[each | {"tries": msgspec.json.decode(each["tries"])} for each in notifications],
        written_at=now,
    )
