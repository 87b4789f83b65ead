"""Which rulebook should be in force now? The file's, with what people have set over it, without what has expired.

The file is looked at again and again: a change takes effect without a restart. One with mistakes changes nothing but
what is told and counted; the rulebook before it stays.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from service.core.override import Override
from service.core.rulebook import DEFAULT_RULEBOOK, Problem, Rulebook, parse_rulebook
from service.logs import tell
from service.metrics import Metrics
from service.ports import Clock, StoreUnavailableError

LOOK_EVERY_S: Final = 2.0


class RulebookSource:
    """`overrides` asks for those in the database. `last` is the file's part of what was in force before the start."""

    def __init__(
        self,
        file: Path | None,
        overrides: Callable[[], Awaitable[Sequence[Override]]],
        metrics: Metrics | None = None,
        last: Rulebook = DEFAULT_RULEBOOK,
    ) -> None:
        self._file, self._overrides, self._metrics = file, overrides, metrics
        self._text: str | None = None
        self._seen: str | None = None
        self._of_file = DEFAULT_RULEBOOK if file is None else last
        self._current: Rulebook | None = None
        self.problems: list[Problem] = []
        """What is wrong with the file as it is now; empty while it is in force."""

    async def look(self, now: datetime) -> Rulebook:
        """Return what should be in force now: the same object for as long as that says the same."""
        self._read_file()
        further = await self._overrides()
        wanted = self._of_file.joined(further).at(int(now.timestamp() * 1000))
        if self._current is None or wanted.version != self._current.version:
            self._current = wanted
        return self._current

    def _read_file(self) -> None:
        if self._file is None:
            return
        try:
            text = self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._refuse([Problem(1, getattr(error, "strerror", None) or "not UTF-8")])
            return
        # A file that is being written may be sound half-way: it is taken once it has stood still from look to look.
        stands, self._seen = self._seen in (None, text), text
        if not stands or text == self._text:
            return
        self._text = text
        parsed = parse_rulebook(text)
        if isinstance(parsed, Rulebook):
            self._of_file, self.problems = parsed, []
        else:
            self._refuse(parsed)

    def _refuse(self, problems: list[Problem]) -> None:
        if problems == self.problems:
            return
        self.problems = problems
        if self._metrics is not None:
            self._metrics.rulebooks_refused.inc()
        for problem in problems:
            tell("rulebook_refused", logging.ERROR, at=f"{self._file}:{problem.line}", problem=problem.message)


async def follow(
    source: RulebookSource,
    use: Callable[[Rulebook, Sequence[Problem]], Awaitable[None]],
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Until `stop`, hand on what is in force, with what is wrong with the file: first of all, and when it changes."""
    version: str | None = None
    problems: list[Problem] = []
    while not stop.is_set():
        with suppress(StoreUnavailableError):
            found = await source.look(clock())
            if found.version != version or source.problems != problems:
                await use(found, source.problems)
                if found.version != version:
                    tell("rulebook_in_force", version=found.version)
                version, problems = found.version, source.problems
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await stop.wait()
