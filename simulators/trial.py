"""What does a rulebook find in a labelled fleet? Its messages go through a pipe into `pumpwatch rules backtest`.

A trial is a few stretches: one in which every fault is injected into pumps of its own, and stretches of a healthy
fleet, which only decoys and ordinary life disturb. Generator and rules run side by side, a process each.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from simulators.cast import pumps_for
from simulators.fleet import fleet_of, write_registry
from simulators.generate import Stream, lines_of
from simulators.plan import BOOTS_SINCE_MS
from simulators.score import Finding, Score, Tried

FAULTY_HOURS: Final = 240.0
CLEAN_PUMPS: Final = 1_000
CLEAN_HOURS: Final = 1_000.0
READINGS_A_MESSAGE: Final = 60
LINES_AT_ONCE: Final = 200


class TrialError(Exception):
    """The rules could not be run; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What `pumpsim score` was asked for."""

    rulebook: Path | None
    pump_hours: float
    seed: int
    each: int
    interval_s: float = 60.0
    drift_tau_h: float = 6.0
    pumpwatch: tuple[str, ...] = ()


class _Found(msgspec.Struct):
    rulebook_version: str
    readings: int
    rejected: int
    alerts: list[Finding]


def run(trial: Trial, show: Callable[[str, float], None]) -> tuple[Score, str]:
    """Return the score and the version of the rulebook that was tried; raises TrialError.

    `show` is told what is under way, and which share of the whole is done.
    """
    score, version = Score(), ""
    stretches = list(_stretches(trial))
    whole_hours = sum(stream.pumps * stream.hours for stream in stretches)
    done_hours = 0.0
    with tempfile.TemporaryDirectory(prefix="pumpsim-score-") as directory:
        for stream in stretches:
            own_hours = stream.pumps * stream.hours
            what = f"{stream.pumps} pumps for {stream.hours:.0f} h, faults: {stream.faults}"
            done = done_hours / whole_hours

            def shown(share: float, what: str = what, done: float = done, own: float = own_hours) -> None:
                show(what, done + share * own / whole_hours)

            tried, version = _try(trial, stream, Path(directory), shown)
            score.add(tried)
            done_hours += own_hours
    return score, version


def _stretches(trial: Trial) -> Iterator[Stream]:
    """The faulty stretch, then as much health as is wanted."""
    left = trial.pump_hours
    number = 0
    if trial.each:
        faulty = _stream(trial, number, pumps=pumps_for(trial.each), hours=FAULTY_HOURS, faults=f"each:{trial.each}")
        yield faulty
        left -= faulty.pumps * faulty.hours
    while left > 0:
        number += 1
        hours = max(min(CLEAN_HOURS, left / CLEAN_PUMPS), 1.0)
        yield _stream(trial, number, pumps=CLEAN_PUMPS, hours=hours, faults="none")
        left -= CLEAN_PUMPS * hours


def _stream(trial: Trial, number: int, *, pumps: int, hours: float, faults: str) -> Stream:
    return Stream(
        pumps=pumps,
        hours=hours,
        interval_s=trial.interval_s,
        seed=trial.seed * 1000 + number,
        prefix=f"s{number}-",
        faults=faults,
        start_ms=BOOTS_SINCE_MS,
        readings_a_message=READINGS_A_MESSAGE,
        drift_tau_h=trial.drift_tau_h,
    )


def _try(trial: Trial, stream: Stream, directory: Path, show: Callable[[float], None]) -> tuple[Tried, str]:
    fleet = fleet_of(stream.seed, stream.pumps, prefix=stream.prefix, interval_s=stream.interval_s)
    registry = directory / f"{stream.prefix}registry.csv"
    with registry.open("w", encoding="utf-8") as file:
        write_registry(fleet, file, stream.start_ms)
    generated = lines_of(stream, show)
    found = _backtest(trial, registry, generated.lines)
    tried = Tried(
        labels=generated.labels(),
        findings=found.alerts,
        models={pump.pump_id: "sensor" if pump.sensor else "rotor" for pump in fleet},
        program_ml_d={pump.pump_id: pump.program_ml_d for pump in fleet},
        start_ms=stream.start_ms,
        hours=stream.hours,
        interval_s=stream.interval_s,
    )
    return tried, found.rulebook_version


def _backtest(trial: Trial, registry: Path, lines: Iterator[bytes]) -> _Found:
    command = [*(trial.pumpwatch or _pumpwatch()), "rules", "backtest", "--from", "-", "--json"]
    command += ["--registry", str(registry)]
    if trial.rulebook is not None:
        command += ["--rulebook", str(trial.rulebook)]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(  # noqa: S603  the command is ours or the caller's own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            if child.stdin is None or child.stdout is None:
                raise TrialError("no pipe to pumpwatch")
            with suppress(BrokenPipeError):  # it has ended, and says why
                while chunk := b"".join(islice(lines, LINES_AT_ONCE)):
                    child.stdin.write(chunk)
            with suppress(BrokenPipeError):
                child.stdin.close()
            with child.stdout as answered:
                answer = answered.read()
            status = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
    if status != 0:
        raise TrialError(said or f"pumpwatch rules backtest ended with {status}")
    return msgspec.json.decode(answer, type=_Found)


def _pumpwatch() -> tuple[str, ...]:
    beside = Path(sys.executable).parent
    found = shutil.which("pumpwatch", path=str(beside)) or shutil.which("pumpwatch")
    if found is None:
        raise TrialError("no `pumpwatch` beside this Python nor on the path; name it with --pumpwatch")
    return (found,)
