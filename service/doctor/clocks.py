"""Do the machines agree on the time? What is silent, late or over is judged by their clocks."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from service.doctor.finding import Finding, ok, problem, warning

AREA: Final = "clocks"
ODD: Final = timedelta(seconds=2)
WRONG: Final = timedelta(seconds=5)
"""From twice of that on roles take each other for gone."""
BEATS_EVERY: Final = timedelta(seconds=2)
LOOKS_APART_S: Final = 3.0
_DO: Final = "let both follow the same time servers (chrony, systemd-timesyncd): `chronyc tracking`, `timedatectl`"

_BEATS: Final = """
SELECT role || ' ' || instance AS name, at, clock_timestamp() AS now FROM role_heartbeat
WHERE at > now() - interval '1 day'
"""


def offset(whose: str, its: datetime, asked_at: datetime, answered_at: datetime) -> Iterator[Finding]:
    """How far another's clock is from ours, to within the time that asking took."""
    half = (answered_at - asked_at) / 2
    yield judged(whose, its - (asked_at + half), half)


def judged(whose: str, ahead: timedelta, give: timedelta = timedelta()) -> Finding:
    away = max(abs(ahead) - give, timedelta())
    where = "ahead of" if ahead > timedelta() else "behind"
    said = f"that of {whose} is {away.total_seconds():.1f} s {where} ours"
    if away >= WRONG:
        return problem(AREA, said, _DO)
    return warning(AREA, said, _DO) if away >= ODD else ok(AREA, f"that of {whose} agrees with ours")


async def of_nodes(connection: asyncpg.Connection) -> list[Finding]:
    """Each role writes by its own clock that it lives: beside the database's, while it goes on doing so."""
    before = {row["name"]: row["at"] for row in await connection.fetch(_BEATS)}
    if not before:
        return []
    await asyncio.sleep(LOOKS_APART_S)
    alive = [row for row in await connection.fetch(_BEATS) if before.get(row["name"]) != row["at"]]
    found = []
    for row in alive:
        ahead = row["at"] - row["now"]
        # What was written up to one beat ago is not behind.
        ahead = min(ahead + BEATS_EVERY, timedelta()) if ahead < timedelta() else ahead
        finding = judged(f"{row['name']}, beside the database's,", ahead)
        if finding.do:
            found.append(finding)
    return found or [ok(AREA, f"those of {len(alive)} roles that are heard agree with the database's")]
