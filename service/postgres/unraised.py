"""What becomes of alerts when a pump goes out of service, and when it is back? Nobody is told of it in between."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from service.core import answers
from service.core.alert import Alert, AlertState
from service.core.change import Change, Turn
from service.core.lifecycle import EPOCH, AlertWritten
from service.core.subject import NO_PUMP
from service.postgres import alert_rows
from service.postgres.alerts import AlertStore

AT_ONCE: Final = 1000

_OPEN: Final = f"""
SELECT {alert_rows.ALERT_JSON} FROM alert AS a JOIN pump AS p USING (pump)
WHERE a.state <> 'resolved' AND NOT p.in_service AND NOT (a.state = 'active' AND a.condition = ANY ($1::text[]))
ORDER BY a.id LIMIT $2 FOR UPDATE OF a
"""
_BACK: Final = """
DELETE FROM unraised AS u USING pump AS p WHERE p.pump = u.pump AND p.in_service RETURNING u.turn::text AS turn
"""


async def look_once(
    connection: asyncpg.Connection, alert_store: AlertStore, judged_elsewhere: Sequence[str], now: datetime
) -> list[AlertWritten]:
    """Resolve what is open of pumps out of service, and raise what still holds of those that are back.

    `judged_elsewhere`: conditions that are ended and begun from what stands in the tables.
    """
    async with connection.transaction():
        alerts = alert_rows.alerts_of(await connection.fetch(_OPEN, judged_elsewhere, AT_ONCE))
        still = [_turn(alert) for alert in alerts if alert.state is AlertState.ACTIVE]
        await alert_rows.keep_unraised(connection, still)
        written = await alert_store.move(connection, [answers.take_out(alert, now) for alert in alerts], now)
    async with connection.transaction():
        turns = [msgspec.json.decode(row["turn"], type=Change) for row in await connection.fetch(_BACK)]
        return written + await alert_store.apply(connection, turns, now)


def _turn(alert: Alert) -> Change:
    """The same condition, as if it had begun after all that this alert knows of."""
    began_ms = (alert.began_at - EPOCH) // timedelta(milliseconds=1)
    return Change(
        pump=alert.pump or NO_PUMP,
        condition=alert.condition,
        turn=Turn.BEGAN,
        step=int(alert.evidence.get("step", 1)),
        position=alert.last_position + 1,
        at_ms=int(alert.evidence.get("detected_ms", began_ms)),
        began_ms=began_ms,
        received_ms=began_ms,
        evidence={key: value for key, value in alert.evidence.items() if isinstance(value, int | float | str)},
    )
