"""What does a rulebook find in a labelled fleet? Its messages go through a pipe into `pumpwatch rules backtest`.

A trial is a row of stretches, by turns one in which faults are injected, into pumps of their own, and one of a healthy
fleet, which only decoys and ordinary life disturb. Generator and rules run side by side, a process each. What a stretch
gave can be kept (simulators/kept.py): a trial that was interrupted goes on with the next.
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
from simulators.kept import Kept, KeptError
from simulators.plan import BOOTS_SINCE_MS
from simulators.score import Finding, Score, Tried

FAULTY_HOURS: Final = 240.0
EACH_AT_ONCE: Final = 30
CLEAN_PUMPS: Final = 500
CLEAN_HOURS: Final = 1_000.0
FIRST_CLEAN: Final = 500  # the numbers of stretches: faulty ones come before
READINGS_A_MESSAGE: Final = 60
LINES_AT_ONCE: Final = 200
_FAULTY_HOURS_A_FAULT: Final = FAULTY_HOURS * pumps_for(EACH_AT_ONCE) / EACH_AT_ONCE


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
    keep: Path | None = None
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
    kept = Kept(trial.keep, "" if trial.rulebook is None else trial.rulebook.read_text(encoding="utf-8"))
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

            tried, version = _tried(trial, kept, stream, Path(directory), shown)
            score.add(tried)
            done_hours += own_hours
    return score, version


def _stretches(trial: Trial) -> Iterator[Stream]:
    """Faulty stretches until each fault is injected often enough, and between and after them as much health as wanted.

    A longer trial begins as a shorter one does, as far as both go.
    """
    left, each, number = trial.pump_hours, trial.each, 0
    while each > 0 or left > 0:
        if each > 0:
            now = min(each, EACH_AT_ONCE)
            each -= now
            faulty = _stream(trial, number, pumps=pumps_for(now), hours=FAULTY_HOURS, faults=f"each:{now}")
            yield faulty
            left -= faulty.pumps * faulty.hours
        healthy = left - each * _FAULTY_HOURS_A_FAULT
        if healthy > 0:
            hours = max(min(CLEAN_HOURS, healthy / CLEAN_PUMPS), 1.0)
            yield _stream(trial, FIRST_CLEAN + number, pumps=CLEAN_PUMPS, hours=hours, faults="none")
            left -= CLEAN_PUMPS * hours
        number += 1


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


def _tried(
    trial: Trial, kept: Kept, stream: Stream, directory: Path, show: Callable[[float], None]
) -> tuple[Tried, str]:
    try:
        known = kept.find(stream)
    except KeptError as error:
        raise TrialError(str(error)) from error
    if known is not None:
        return known.tried, known.rulebook_version
    tried, version = _try(trial, stream, directory, show)
    kept.keep(stream, version, tried)
    return tried, version


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
