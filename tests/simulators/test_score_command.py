"""`pumpsim score`: what it is asked for, what it prints and keeps."""

import json
import subprocess
import sys
from pathlib import Path


def pumpsim(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "simulators", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_a_small_trial_is_told_as_tables_and_kept_as_json(tmp_path: Path) -> None:
    rulebook, kept = tmp_path / "own.toml", tmp_path / "score.json"
    rulebook.write_text("[stall]\nmissed_ul = 12\n")
    ran = pumpsim("score", rulebook, "--pump-hours", 2000, "--each", 0, "--seed", 5, "--json", kept)
    assert ran.returncode == 0, ran.stderr
    assert "high and medium" in ran.stdout
    score = json.loads(kept.read_text())
    assert (score["rulebook"], score["seed"], score["pump_hours"]) == ("own.toml", 5, 2000.0)
    assert set(score["false_alerts_per_pump_year"]) >= {"high_medium", "low"}
    assert score["false_alerts_per_pump_year"]["high_medium"]["count"] == 0


def test_a_rulebook_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    ran = pumpsim("score", tmp_path / "none.toml")
    assert (ran.returncode, ran.stderr) == (2, f"pumpsim: {tmp_path / 'none.toml'}: no such file\n")


def test_a_service_that_is_not_there_is_said() -> None:
    ran = pumpsim("score", "--pump-hours", 10, "--each", 0, "--pumpwatch", "/nowhere/pumpwatch")
    assert (ran.returncode, ran.stderr) == (2, "pumpsim: /nowhere/pumpwatch: No such file or directory\n")
