"""The commands do what docs/simulators.md says, and refuse in one clear line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.cli import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulators.md"


def test_the_same_seed_is_the_same_fleet_in_every_command(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    who = ["--pumps", "30", "--seed", "11", "--prefix", "cli-"]
    assert main(["registry", *who, "--start-ms", "1795376926000", "--out", str(tmp_path / "fleet.csv")]) == 0
    assert main(["generate", *who, "--hours", "1", "--faults", "stall", "--labels", str(tmp_path / "labels.json")]) == 0

    registered = {line.split(",")[0] for line in (tmp_path / "fleet.csv").read_text(encoding="utf-8").splitlines()[1:]}
    messages = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    [label] = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert registered == {message["topic"].split("/")[2] for message in messages}
    assert label["pump_id"] in registered
    assert set(label) == set(labels_in_the_document()[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fleet", "--broker", "mqtt://192.0.2.1:1883"], "not on loopback; --allow-remote allows it"),
        (["clinic", "--secret", "whsec_AAAA", "--host", "0.0.0.0"], "not on loopback"),
        (["clinic", "--secret", "whsec_***"], "not a secret"),
        (["clinic", "--secret", "whsec_AAAA", "--fail-rate", "7"], "fail_rate: must be from 0 to 1"),
        (["registry", "--out", "/nonexistent/fleet.csv"], "/nonexistent/fleet.csv: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["fleet"],
        ["fleet", "--broker", "127.0.0.1"],
        ["fleet", "--broker", "mqtt://127.0.0.1", "--faults", "meteor"],
        ["fleet", "--broker", "mqtt://127.0.0.1", "--pumps", "0"],
        ["fleet", "--broker", "mqtt://127.0.0.1", "--readings-a-message", "5000"],
        ["generate", "--hours", "nan"],
        ["registry", "--prefix", "no/slash"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused_with_the_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2


def labels_in_the_document() -> list[dict[str, object]]:
    section = DOCUMENT.read_text(encoding="utf-8").partition("## Labels")[2]
    shown: list[dict[str, object]] = json.loads(section.partition("```json")[2].partition("```")[0])
    return shown


def test_every_option_is_documented() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for command in ("fleet", "inject", "load", "registry", "generate", "score", "clinic"):
        shown = subprocess.run(
            [sys.executable, "-m", "simulators", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "200"},
        ).stdout
        options = {word.strip(",[]") for word in shown.split() if word.startswith("--")} - {"--help"}
        assert {option for option in options if option not in document} == set()
