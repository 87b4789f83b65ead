"""Limits take effect at a position: stops, late data and changes in any order end where a run without stops does."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.core.override import Override, Scope
from service.core.reading import position_of
from service.postgres.migrate import migrate
from service.postgres.overrides import end_override, set_override
from tests.loops.driven import Driven, telemetry

STRICT = "[stall]\nmissed_ul = 3\nfor_s = 300\n"
TEXTS = (
    "",
    STRICT,
    "[stall]\nmissed_ul = 30\nfor_s = 2400\n[priority]\nstall = ['low', 'medium']\n",
    "[under_delivery_gross]\nenabled = false\nreason = 'trial'\n",
    "[under_delivery_gross]\nshadow = true\nreason = 'trial'\n",
)
Ask = Callable[[str], Awaitable[list[asyncpg.Record]]]


@pytest.fixture
async def ask(postgres_url: str) -> AsyncIterator[Ask]:
    connection = await asyncpg.connect(postgres_url)
    yield connection.fetch
    await connection.close()


@pytest.fixture
async def driven(postgres_url: str, tmp_path: Path) -> AsyncIterator[Driven]:
    file = tmp_path / "rules.toml"
    file.write_text("")
    driven = Driven(postgres_url, rulebook=file)
    await driven.start()
    yield driven
    await driven.store.close()


async def test_a_changed_file_is_in_force_from_the_next_reading_on_and_not_before(
    driven: Driven, ask: Ask, tmp_path: Path
) -> None:
    driven.send("p", telemetry(0, [1.0] * 60 + [0.0] * 10))
    await driven.turn()
    assert await ask("SELECT 1 FROM alert") == []
    (tmp_path / "rules.toml").write_text(STRICT)
    await driven.look_for_changes()
    assert await ask("SELECT 1 FROM alert") == [], "nothing is judged twice"
    driven.send("p", telemetry(70, [0.0]))
    await driven.turn()
    (alert,) = await ask("SELECT rulebook_version, detected_position FROM alert")
    rows = await ask("SELECT after_position, rulebook_version FROM limits_in_force ORDER BY 1")
    assert [row["after_position"] for row in rows] == [-1, position_of(1, 69)]
    assert (alert["rulebook_version"], alert["detected_position"]) == (rows[1]["rulebook_version"], position_of(1, 70))
    assert [row["version"] for row in await ask("SELECT version FROM rulebook_in_force ORDER BY id")] == [
        row["rulebook_version"] for row in rows
    ]


async def test_a_file_with_mistakes_changes_nothing_and_an_open_alert_keeps_what_it_was_raised_by(
    driven: Driven, ask: Ask, tmp_path: Path
) -> None:
    driven.send("p", telemetry(0, [1.0] * 60 + [0.0] * 60))
    await driven.turn()
    (before,) = await ask("SELECT * FROM alert")
    (tmp_path / "rules.toml").write_text("[stall]\nmissed_ul = 3000\n")
    await driven.look_for_changes()
    assert await ask("SELECT count(*) AS versions FROM rulebook") == [(1,)]
    (tmp_path / "rules.toml").write_text("[priority]\nstall = ['low', 'medium']\n")
    await driven.look_for_changes()
    driven.send("p", telemetry(120, [0.0] * 30))
    await driven.turn()
    assert await ask("SELECT * FROM alert") == [before]
    assert await ask("SELECT count(*) AS versions FROM rulebook") == [(2,)]


async def test_an_override_ends_by_itself_or_by_hand_and_takes_effect_without_a_restart(
    driven: Driven, ask: Ask, postgres_url: str
) -> None:
    driven.send("p", telemetry(0, [1.0]))
    await driven.turn()
    now = datetime.fromtimestamp(driven.now_ms / 1000, UTC)
    until_ms = driven.now_ms + 60_000
    connection = await asyncpg.connect(postgres_url)
    for key, value, expires_ms in (("missed_ul", 3.0, until_ms), ("for_s", 300.0, until_ms * 2)):
        override = Override(Scope.PUMP, "p", "stall", key, value, "trial", "doctor", expires_ms)
        number = await set_override(connection, override, "test", now)

    def limits() -> tuple[float, float]:
        return float(driven.fleet.limits["stall_missed_ul"][0]), float(driven.fleet.limits["stall_for_s"][0])

    await driven.look_for_changes()
    assert limits() == (3.0, 300.0)
    await driven.wait_ms(60_000)
    await driven.look_for_changes()
    assert limits() == (10.0, 300.0)
    assert await end_override(connection, number, "test", now)
    await driven.look_for_changes()
    assert limits() == (10.0, 1200.0)
    assert [row["action"] for row in await connection.fetch("SELECT action FROM audit")] == [
        "rule_override_set",
        "rule_override_set",
        "rule_override_ended",
    ]
    await connection.close()


async def test_what_is_in_shadow_is_recorded_and_told_of_once_it_leaves_it(
    driven: Driven, ask: Ask, tmp_path: Path
) -> None:
    shadow = "[under_delivery_gross]\nshadow = true\nreason = 'new here'\n"
    (tmp_path / "rules.toml").write_text(shadow)
    await driven.look_for_changes()
    driven.send("p", telemetry(0, [1.0] * 60 + [0.3] * 240, program_ml_d=1.0))
    await driven.turn()
    assert await ask("SELECT 1 FROM alert WHERE condition = 'under_delivery_gross'") == []
    (recorded,) = await ask("SELECT * FROM shadow_alert")
    assert (recorded["condition"], recorded["ended_at"]) == ("under_delivery_gross", None)
    (tmp_path / "rules.toml").write_text("")
    await driven.look_for_changes()
    (alert,) = await ask("SELECT * FROM alert WHERE condition = 'under_delivery_gross'")
    assert (alert["state"], alert["began_at"]) == ("active", recorded["began_at"])
    (tmp_path / "rules.toml").write_text(shadow)
    await driven.look_for_changes()
    driven.send("p", telemetry(300, [1.0] * 240, program_ml_d=1.0))
    await driven.turn()
    (alert,) = await ask("SELECT * FROM alert WHERE condition = 'under_delivery_gross'")
    assert alert["state"] != "active", "what was told of goes on being told of"
    (recorded,) = await ask("SELECT * FROM shadow_alert")
    assert recorded["ended_at"] == alert["ended_at"]


class Run:
    """The same readings and changes, in the same order; only one of two runs is stopped now and then."""

    def __init__(self, url: str, file: Path, *, stopped: bool) -> None:
        self.url, self.file, self.stopped = url, file, stopped
        self.driven = Driven(url, rulebook=file)

    async def go(self, seed: int) -> dict[str, Any]:
        chance = random.Random(seed)  # noqa: S311 - the same one for both runs
        self.file.write_text("")
        await self.driven.start()
        flows = [flow for _ in range(12) for flow in [chance.choice((1.0, 1.0, 0.0, 0.3, 1.8))] * chance.randint(5, 40)]
        at, late = 0, []
        while at < len(flows):
            count = chance.randint(1, 30)
            chunk = list(range(at, min(at + count, len(flows))))
            at += count
            await self._stop(chance)
            if chance.random() < 0.15 and len(chunk) > 3:
                late.append(chunk[1:-1])
                chunk = [chunk[0], chunk[-1]]
            elif late and chance.random() < 0.5:
                chunk += late.pop()
            await self._send(chance, flows, chunk)
            if late and chance.random() < 0.5:
                await self.driven.wait_ms(46_000)
            await self._stop(chance)
            await self._change(chance)
        for chunk in late:
            await self._send(chance, flows, chunk)
        return await self._outcome()

    async def _send(self, chance: random.Random, flows: list[float], chunk: list[int]) -> None:
        chance.shuffle(chunk)
        for seq in chunk + chance.sample(chunk, chance.randint(0, len(chunk))):
            self.driven.send("p", telemetry(seq, [flows[seq]]))
            if chance.random() < 0.1:
                await self.driven.turn()
        await self.driven.turn()

    async def _change(self, chance: random.Random) -> None:
        what = chance.random()
        if what < 0.35:
            self.file.write_text(chance.choice(TEXTS))
        elif what < 0.5:
            connection = await asyncpg.connect(self.url)
            await connection.execute(
                "UPDATE pump SET drug_class = $1, flow_channel = $2, interval_s = $3, updated_at = now()",
                chance.choice(("baclofen", "ziconotide")),
                chance.choice(("rotor", "sensor")),
                chance.choice((60.0, 30.0)),
            )
            await connection.close()
        else:
            return
        await self._stop(chance)
        await self.driven.look_for_changes()

    async def _stop(self, chance: random.Random) -> None:
        if chance.random() < 0.3 and self.stopped:
            await self.driven.restart()

    async def _outcome(self) -> dict[str, Any]:
        fleet = self.driven.fleet
        connection = await asyncpg.connect(self.url)
        outcome = {
            table: [tuple(row) for row in await connection.fetch(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3")]
            for table, columns in (
                ("alert", "condition, detected_position, priority, state, began_at, found_late, rulebook_version"),
                ("shadow_alert", "condition, detected_position, priority, began_at, ended_at, rulebook_version"),
                ("limits_in_force", "pump, after_position, hash, facts::text"),
            )
        }
        await connection.close()
        await self.driven.store.close()
        limits = fleet.limits[0].tobytes()
        return outcome | {"state": fleet.state[0].tobytes(), "at": int(fleet.ledger.evaluated[0]), "limits": limits}


@pytest.mark.parametrize("seed", [2, 18, 24])
async def test_whenever_an_ingester_stops_it_ends_where_one_that_never_stopped_does(
    postgres_url: str, empty_postgres_url: str, tmp_path: Path, seed: int
) -> None:
    await migrate(empty_postgres_url)
    stopped = await Run(postgres_url, tmp_path / "a.toml", stopped=True).go(seed)
    steady = await Run(empty_postgres_url, tmp_path / "b.toml", stopped=False).go(seed)
    assert len(steady["limits_in_force"]) > 1
    assert stopped == steady
