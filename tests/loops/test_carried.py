"""Long backlogs: stored and settled at once, evaluated after and after, and no reason for other pumps to wait."""

import asyncpg

from service.core.reading import position_of
from service.loops.carried import MOST_OF_A_PUMP
from tests.loops.driven import Driven, telemetry

STALLING = [1.0] * 60 + [0.0] * 60
A_MESSAGE = 4_000


def send_backlog(driven: Driven, pump_id: str, items: int) -> None:
    for first in range(0, items, A_MESSAGE):
        driven.send(pump_id, telemetry(first, [1.0] * min(A_MESSAGE, items - first)))


async def stalled(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT pump_id FROM alert JOIN pump USING (pump) WHERE condition = 'stall'")
    return [row["pump_id"] for row in rows]


async def test_a_long_backlog_is_settled_with_its_batch_and_no_other_pump_waits_for_its_evaluation(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.now_ms += 30 * 86_400_000
    backlog = 2 * MOST_OF_A_PUMP + 500
    send_backlog(driven, "long", backlog)
    await driven.wait_ms(0)
    assert len(driven.feed.settled) == 5
    assert driven.ingester.carries
    for first in (0, 60):  # as live telemetry comes: no more than a batch evaluates
        driven.send("other", telemetry(first, STALLING[first : first + 60]))
        await driven.wait_ms(0)
    assert await stalled(connection) == ["other"]
    behind = driven.fleet.row_of[b"long"]
    assert driven.fleet.ledger.evaluated[behind] < driven.fleet.ledger.through[behind]
    await driven.wait_ms(10_000)
    assert ("long", 1, backlog - 1) in driven.feed.receipts, "it is stored: the pump need not send it again"


async def test_a_backlog_that_a_stop_interrupts_comes_to_the_state_of_one_that_was_evaluated_at_once(
    driven: Driven, connection: asyncpg.Connection
) -> None:
    driven.now_ms += 30 * 86_400_000
    flows = [1.0] * 1_500 + [0.0] * 100 + [1.0] * 900
    driven.send("stopped", telemetry(0, flows))
    await driven.wait_ms(0)
    await driven.restart()
    row = driven.fleet.row_of[b"stopped"]
    assert position_of(1, 0) < driven.fleet.ledger.evaluated[row] < position_of(1, 2_499)
    driven.send("stopped", telemetry(2_500, [1.0]))
    await driven.turn()
    for number, flow in enumerate([*flows, 1.0]):
        driven.send("live", telemetry(number, [flow]))
        if number % 50 == 0:
            await driven.turn()
    await driven.turn()
    live = driven.fleet.row_of[b"live"]
    assert driven.fleet.state[row].tobytes() == driven.fleet.state[live].tobytes()
    assert not driven.fleet.behind.any()
    assert sorted(await stalled(connection)) == ["live", "stopped"]
