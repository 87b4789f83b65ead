"""A trial that was interrupted goes on with the stretch that is not yet kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from simulators.generate import Stream
from simulators.kept import Kept, KeptError
from simulators.trial import Trial, TrialError, run

TRIAL = Trial(rulebook=None, pump_hours=400.0, seed=12, each=0)


def tried(trial: Trial) -> tuple[object, str, list[str]]:
    stages: list[str] = []
    score, version = run(trial, lambda what, _share: stages.append(what))
    return score, version, stages


def test_what_is_kept_is_not_run_again_and_gives_the_same_score(tmp_path: Path) -> None:
    plain = tried(TRIAL)
    first, again = (tried(replace(TRIAL, keep=tmp_path / "kept")) for _ in range(2))
    assert plain[:2] == first[:2] == again[:2]
    assert first[2]
    assert again[2] == []
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["stretch-12500.json"]


def test_what_was_kept_of_another_trial_is_refused(tmp_path: Path) -> None:
    tried(replace(TRIAL, keep=tmp_path))
    with pytest.raises(TrialError, match=r"stretch-12500\.json: kept of a trial that was asked for something else"):
        tried(replace(TRIAL, keep=tmp_path, drift_tau_h=24.0))


def test_a_file_that_is_none_of_ours_is_said(tmp_path: Path) -> None:
    stream = Stream(pumps=1, hours=1, interval_s=60, seed=3, prefix="", faults="none", start_ms=0, readings_a_message=1)
    (tmp_path / "stretch-3.json").write_text("{}")
    with pytest.raises(KeptError, match=r"stretch-3\.json: "):
        Kept(tmp_path, "").find(stream)
