"""Where does a role spend its processor time? The role itself, stopped every few milliseconds of it to look.

python -m tests.benchmarks.sampled DESTINATION run ingest     (SIGUSR1: begin; SIGUSR2: write what was seen since)

Each look is worth the processor time since the one before, so what runs long in C counts in full. What is written:
{"the innermost file:function;the one around it;…": seconds}.
"""

import json
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

from service.__main__ import main as role

EVERY_S = 0.001  # the kernel makes whole ticks of it
DEEPEST = 60


class Sampler:
    def __init__(self, destination: Path) -> None:
        self._by: defaultdict[str, float] = defaultdict(float)
        self._seen_s = 0.0
        self._destination = destination

    def begin(self, *_: object) -> None:
        self._by.clear()
        self._seen_s = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def look(self, _: int, frame: FrameType | None) -> None:
        now_s = time.process_time()
        stack: list[str] = []
        while frame is not None and len(stack) < DEEPEST:
            code = frame.f_code
            stack.append(f"{code.co_filename}:{code.co_name}")
            frame = frame.f_back
        self._by[";".join(stack)] += now_s - self._seen_s
        self._seen_s = now_s

    def write(self, *_: object) -> None:
        unfinished = self._destination.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self._by))
        unfinished.rename(self._destination)


def main(destination: str, arguments: list[str]) -> int:
    sampler = Sampler(Path(destination))
    for number, react in (
        (signal.SIGPROF, sampler.look),
        (signal.SIGUSR1, sampler.begin),
        (signal.SIGUSR2, sampler.write),
    ):
        signal.signal(number, react)
        signal.siginterrupt(number, False)  # noqa: FBT003 - as the standard library has it
    sys.argv = ["pumpwatch", *arguments]
    return role()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
