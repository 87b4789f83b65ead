"""`pumpsim generate`, as it is called."""

import json
from pathlib import Path

import pytest

from simulators.cli import main
from simulators.labels import Label


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


def test_a_fleet_without_room_for_what_is_asked_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--pumps", "5", "--faults", "each:1"]) == 2
    assert "28 faults need more than 5 pumps" in capsys.readouterr().err
