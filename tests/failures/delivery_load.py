"""Many alerts to many endpoints, of which some fail in their ways, while workers are killed: what came of it?"""

import asyncio
import json
import random
import sys
import time
from asyncio.subprocess import Process
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np

from tests.webhooks.endpoint import Conduct, Endpoint, Request, answers, never_answers
from tests.webhooks.rows import Rows, until

ROOT = Path(__file__).parents[2]
FLAP_S = 5.0
TICK_S = 0.1
PRIORITIES = ("high", "medium", "low")


@dataclass(frozen=True)
class Load:
    """`endpoints` counts those of each behaviour; every alert goes to one, every fifth is resolved soon after."""

    alerts: int
    over_s: float
    endpoints: dict[str, int]
    waits_s: tuple[float, ...]
    patience_s: float
    answer_within_s: float
    workers: int
    kill_every_s: float
    end_within_s: float


@dataclass
class Told:
    """One endpoint, and when each notification first came."""

    behaviour: str
    endpoint: Endpoint
    id: UUID
    first_at: dict[str, float] = field(default_factory=dict)

    def conduct(self, request: Request) -> Conduct:
        self.first_at.setdefault(request.id, time.time())
        match self.behaviour:
            case "times out":
                return never_answers
            case "answers 500":
                return answers(500)
            case "answers 429":
                return answers(429, retry_after="2")
            case "flaps":
                return answers(204 if time.monotonic() % (2 * FLAP_S) < FLAP_S else 503)
        return answers(204)


Raised = tuple[UUID, int, Told, str]
"""An alert's id and number, whom it is for, and its priority."""


class DeliveryLoad:
    def __init__(self, load: Load, database_url: str, directory: Path, seed: int) -> None:
        self._load = load
        self._url = database_url
        self._directory = directory
        self._random = random.Random(seed)  # noqa: S311 - the same seed, the same kills
        self._made_at: dict[str, float] = {}
        self._workers: list[Process] = []
        self.told: list[Told] = []
        self.kills = 0

    async def run(self) -> dict[str, Any]:
        """The figures; problems are in `problems`."""
        load, began_at = self._load, time.monotonic()
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(asyncpg.create_pool(self._url, min_size=1, max_size=4))
            rows = Rows(pool)
            for behaviour, count in load.endpoints.items():
                for _ in range(count):
                    endpoint = await stack.enter_async_context(Endpoint())
                    target = await rows.an_endpoint(endpoint, answer_within_s=load.answer_within_s)
                    told = Told(behaviour, endpoint, target)
                    endpoint.conduct_of = told.conduct
                    self.told.append(told)
            stack.push_async_callback(self._end_workers)
            self._workers = [await self._worker() for _ in range(load.workers)]
            await until(lambda: self._everybody_listens(pool))
            killing = asyncio.create_task(self._kill_workers(pool))
            stack.callback(killing.cancel)
            await self._raise_alerts(pool)
            await until(lambda: _nothing_is_pending(pool), load.end_within_s)
            killing.cancel()
            await self._end_workers()
            return await self._figures(pool, time.monotonic() - began_at)

    async def _raise_alerts(self, pool: asyncpg.Pool) -> None:
        load = self._load
        pump = await pool.fetchval("INSERT INTO pump (pump_id) VALUES ('p1') RETURNING pump")
        began_at, made, soon = time.monotonic(), 0, []
        while made < load.alerts or soon:
            due = min(load.alerts, int(load.alerts * (time.monotonic() - began_at) / load.over_s) + 1)
            new = [self._alert(number) for number in range(made, due)]
            ended, soon = soon, [alert for alert in new if alert[1] % 5 == 0]
            made = due
            await self._write(pool, pump, new, ended)
            await asyncio.sleep(TICK_S)

    def _alert(self, number: int) -> Raised:
        alert_id = UUID(int=self._random.getrandbits(128), version=4)
        return alert_id, number, self.told[number % len(self.told)], PRIORITIES[number // len(self.told) % 3]

    async def _write(
        self,
        pool: asyncpg.Pool,
        pump: int,
        new: list[tuple[UUID, int, Told, str]],
        ended: list[tuple[UUID, int, Told, str]],
    ) -> None:
        now = datetime.now(UTC)
        async with pool.acquire() as connection, connection.transaction():
            await connection.executemany(
                """
                INSERT INTO alert (id, subject, pump, condition, kind, priority, state, state_since, latching, began_at,
                    detected_at, raised_at, detected_position, last_position, simulated, rulebook_version, evidence)
                VALUES ($1, 'pump:p1', $2, 'stall', 'physiological', $3, 'resolved', $4, true, $4, $4, $4, $5, $5, true,
                    '1', '{}')
                """,
                [(alert_id, pump, priority, now, number) for alert_id, number, _, priority in new],
            )
            notifications = [*_notifications(new, 1, "activated", now), *_notifications(ended, 2, "resolved", now)]
            await connection.executemany(
                """
                INSERT INTO notification (id, alert_id, number, endpoint, kind, priority, body, created_at, due_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
                """,
                notifications,
            )
            await connection.execute("NOTIFY pumpwatch_outbox")
        self._made_at |= {row[0]: now.timestamp() for row in notifications}

    async def _kill_workers(self, pool: asyncpg.Pool) -> None:
        """One after the other, with another in its place."""
        while True:
            await asyncio.sleep(self._load.kill_every_s * self._random.uniform(0.5, 1.5))
            await until(lambda: self._everybody_listens(pool))
            number = self._random.randrange(len(self._workers))
            self._workers[number].kill()
            await self._workers[number].wait()
            self.kills += 1
            self._workers[number] = await self._worker()

    async def _everybody_listens(self, pool: asyncpg.Pool) -> bool:
        return bool(await pool.fetchval(_LISTENING) == self._load.workers)

    async def _worker(self) -> Process:
        how = json.dumps({"waits_s": self._load.waits_s, "patience_s": self._load.patience_s})
        with (self._directory / "workers.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.loops.worker", self._url, how, cwd=ROOT, stderr=log
            )

    async def _end_workers(self) -> None:
        for worker in self._workers:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()

    async def _figures(self, pool: asyncpg.Pool, took_s: float) -> dict[str, Any]:
        rows = await pool.fetch("SELECT id, endpoint, alert_id, number, state, kind FROM notification")
        log = (self._directory / "workers.log").read_text(encoding="utf-8")
        problems, by_behaviour = list(self._problems(rows)), {}
        for behaviour in self._load.endpoints:
            group = [told for told in self.told if told.behaviour == behaviour]
            ids = {told.id for told in group}
            states = Counter(row["state"] for row in rows if row["endpoint"] in ids)
            waits = [at - self._made_at[each] for told in group for each, at in told.first_at.items()]
            by_behaviour[behaviour] = {
                "endpoints": len(group),
                "delivered": states["delivered"],
                "given_up": states["failed"],
                "requests": sum(len(told.endpoint.requests) for told in group),
                "first_request_after_s": _percentiles(waits),
            }
        return {
            "alerts": self._load.alerts,
            "alerts_over_s": self._load.over_s,
            "notifications": len(rows),
            "workers": self._load.workers,
            "workers_killed": self.kills,
            "took_s": round(took_s, 1),
            "waits_s": self._load.waits_s,
            "patience_s": self._load.patience_s,
            "answer_within_s": self._load.answer_within_s,
            "by_behaviour": by_behaviour,
            "given_up_in_the_log": log.count(" notification_given_up "),
            "circuits_opened": log.count(" circuit_opened "),
            "problems": len(problems),
            "first_problems": problems[:20],
        }

    def _problems(self, rows: list[asyncpg.Record]) -> Iterator[str]:
        names = {row["id"]: row for row in rows}
        answered = {request.id for told in self.told for request in told.endpoint.answered}
        for row in rows:
            if row["state"] not in {"delivered", "failed"}:
                yield f"{row['id']} is {row['state']}"
            if row["state"] == "delivered" and row["id"] not in answered:
                yield f"{row['id']} is delivered and was never answered"
        for told in self.told:
            order: dict[str, list[int]] = defaultdict(list)
            for request in told.endpoint.requests:
                row = names.get(request.id)
                if row is None or row["endpoint"] != told.id or not request.verified:
                    yield f"{request.id} came to an endpoint that it was not for, or was not signed"
                else:
                    order[request.body["data"]["alert_id"]].append(row["number"])
            yield from (f"{alert} came out of order: {seen}" for alert, seen in order.items() if seen != sorted(seen))
            if told.behaviour == "healthy":
                yield from (
                    f"{row['id']} did not reach a healthy endpoint"
                    for row in rows
                    if row["endpoint"] == told.id and row["state"] != "delivered"
                )


_LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


def _notifications(alerts: list[Raised], number: int, kind: str, now: datetime) -> list[tuple[object, ...]]:
    return [
        (
            f"{alert_id}-{number}",
            alert_id,
            number,
            told.id,
            kind,
            priority,
            json.dumps({"type": f"alert.{kind}", "timestamp": "", "data": {"alert_id": str(alert_id)}}),
            now,
        )
        for alert_id, _, told, priority in alerts
    ]


async def _nothing_is_pending(pool: asyncpg.Pool) -> bool:
    await asyncio.sleep(0.2)
    return not await pool.fetchval("SELECT count(*) FROM notification WHERE state = 'pending'")


def _percentiles(waits: list[float]) -> dict[str, float]:
    if not waits:
        return {}
    return {f"p{share}": round(float(np.percentile(waits, share)), 3) for share in (50, 95, 99, 100)}
