"""How far is it? A Rich bar on a terminal, plain lines elsewhere, nothing for what takes less than two seconds."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

QUIET_S: Final = 2.0
LINE_EVERY_S: Final = 5.0


class Steps:
    """Progress through named stages, on standard error. `say` prints a line of its own in between."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._began_s = clock_s()
        self._line_s = self._began_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def stage(self) -> None:
        """What follows is something else: a bar of its own, if it takes long enough."""
        self._close()
        self._began_s = self._line_s = self._clock_s()

    def show(self, what: str, share: float) -> None:
        """Say that `share` (0 … 1) of the stage is done."""
        now_s = self._clock_s()
        if now_s - self._began_s < QUIET_S:
            return
        if not self._console.is_terminal:
            if now_s - self._line_s >= LINE_EVERY_S:
                self._line_s = now_s
                print(f"{min(share, 1):4.0%} {what}", file=sys.stderr, flush=True)
            return
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
            self._bar = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
            self._task = self._bar.add_task(what, total=1.0)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, description=what, completed=share)

    def say(self, line: str) -> None:
        if self._bar is not None:
            self._console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None
