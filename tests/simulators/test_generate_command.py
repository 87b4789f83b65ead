"""`pumpsim generate` and `pumpsim scenario`, as they are called."""

import json
from pathlib import Path

import pytest

from simulators.cli import main
from simulators.labels import Label
from simulators.scenario import packaged

WRONG = 'title = "t"\ndescription = "d"\nlasts = "1 year"\nmood = "bad"\n'


def test_a_scenario_is_generated_with_its_registry_and_labels(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    registry, labels = tmp_path / "registry.csv", tmp_path / "labels.json"
    asked = ["--scenario", "stall", "--scenario", "decoy-mri", "--registry", str(registry), "--labels", str(labels)]

    assert main(["generate", *asked]) == 0

    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line["received_ms"] for line in lines] == sorted(line["received_ms"] for line in lines)
    assert {line["topic"].split("/")[2] for line in lines} == {"stall-1", "decoy-mri-1"}
    assert all(line["payload"]["simulated"] is True for line in lines)
    told = [Label(**each) for each in json.loads(labels.read_bytes())]
    assert {label.fault: label.expected for label in told} == {"stall": ["stall"], "mri": []}
    assert len(registry.read_text().splitlines()) == 3


def test_a_fleet_is_generated_and_its_labels_are_written_when_all_is_known(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    labels = tmp_path / "labels.json"
    asked = ["--pumps", "60", "--hours", "2", "--faults", "each:1", "--labels", str(labels)]

    assert main(["generate", *asked]) == 0

    assert len(capfdbinary.readouterr().out.splitlines()) > 60
    assert {each["fault"] for each in json.loads(labels.read_bytes())} >= {"stall", "silence", "pocket_fill"}


def test_scenarios_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == packaged()
    assert any(line.endswith("The rotor stands still and stays so") for line in listed)

    assert main(["scenario", "show", "stall"]) == 0
    assert 'what = "stall"' in capsys.readouterr().out


def test_a_scenario_with_mistakes_ends_with_all_of_them_and_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(WRONG, encoding="utf-8")

    for command in (["scenario", "show", str(file)], ["generate", "--scenario", str(file)]):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert f"{file}:3: lasts: '1 year' is no duration" in told
        assert f"{file}:4: unknown key mood; known are description, expect" in told
    assert main(["generate", "--scenario", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err


def test_a_fleet_without_room_for_what_is_asked_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--pumps", "5", "--faults", "each:1"]) == 2
    assert "28 faults need more than 5 pumps" in capsys.readouterr().err
