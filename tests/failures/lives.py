"""What came of a deed that was killed after each of its statements (tests/failures/killed.py)?"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]

Counts = dict[str, int]


@dataclass(frozen=True)
class Lives:
    """`killed_after`: the statements, in order; `stood`: the tables' counts after each life, with the last one's."""

    killed_after: list[str]
    stood: list[Counts]

    def fault_points(self, *names: str) -> None:
        """It died at least after a statement of each of these."""
        points = "\n".join(self.killed_after)
        assert [name for name in names if name not in points] == [], points

    def times_done(self, before: Counts, adds: Counts) -> int:
        """How often the deed was done by the end, if it adds this: after each life all of it was there, or nothing."""
        times = [self._times(stood, before, adds) for stood in self.stood]
        assert times == sorted(times), "what was done stays done"
        return times[-1]

    def _times(self, stood: Counts, before: Counts, adds: Counts) -> int:
        added = {table: stood[table] - before[table] for table in stood}
        times = max(added[table] // more for table, more in adds.items())
        assert added == {table: times * adds.get(table, 0) for table in stood}
        return times


async def killed_after_each_statement(deed: str, url: str, *words: str) -> Lives:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.failures.killed", deed, url, *words), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    *lines, last, at_last = [msgspec.json.decode(line) for line in out.splitlines()]
    assert last is None
    return Lives(lines[1::2], [*lines[2::2], at_last])
