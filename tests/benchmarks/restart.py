"""How long is an ingester away when it restarts? From the lock on its shard to states that are exact, in seconds."""

import time
from pathlib import Path

from tests.benchmarks.ground import Ground
from tests.loops.driven import Driven, telemetry

PUMPS = 10_000
CHECKPOINTED, AFTER = 10, 2  # readings of each pump


async def measure(ground: Ground, pumps: int) -> float:
    """With a checkpoint a minute old, a rulebook that has changed since, and another change while it was away."""
    async with ground.database() as url:
        rulebook = Path(ground.directory) / "rules.toml"
        rulebook.write_text("")
        driven = Driven(url, rulebook=rulebook)
        await driven.start()
        await _say(driven, pumps, 0, CHECKPOINTED)
        while (driven.fleet.checkpointed != driven.fleet.ledger.evaluated).any():
            await driven.wait_ms(61_000)
        rulebook.write_text("[stall]\nmissed_ul = 8\n")
        while (driven.fleet.limits["stall_missed_ul"][driven.fleet.checkpointed >= 0] != 8).any():
            await driven.wait_ms(2_000)
        await _say(driven, pumps, CHECKPOINTED, AFTER)
        rulebook.write_text("[stall]\nmissed_ul = 9\n")
        await driven.store.close()
        began = time.perf_counter()
        await driven.start()
        took_s = time.perf_counter() - began
        await driven.store.close()
        return took_s


async def _say(driven: Driven, pumps: int, first_seq: int, readings: int) -> None:
    for number in range(pumps):
        driven.send(f"r{number:05}", telemetry(first_seq, [1.0] * readings))
    await driven.turn()
