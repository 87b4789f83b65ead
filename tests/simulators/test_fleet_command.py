"""A fleet or a load that cannot be is refused in one line before anything is published."""

import resource
from pathlib import Path

import pytest

from simulators.cli import main
from simulators.inject_command import told
from simulators.labels import Label
from simulators.load_command import LONGEST_S

LOCAL = ("--broker", "mqtt://127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fleet", "--broker", "mqtt://192.0.2.1"], "not on loopback; --allow-remote allows it"),
        (["load", "hold", "--broker", "mqtt://192.0.2.1"], "not on loopback; --allow-remote allows it"),
        (["fleet", *LOCAL, "--api", "http://127.0.0.1:1"], "--api and --token-file belong together"),
        (["fleet", *LOCAL, "--pumps", "2", "--shard", "1/3"], "--shard 1/3 of 2 pumps is none"),
        (["load", "hold", *LOCAL, "--for-s", "0"], f"--for-s must be from 1 to {LONGEST_S:g}"),
        (["load", "spike", *LOCAL, "--factor", "0.5"], "--factor must be at least 1"),
        (["load", "hold", *LOCAL, "--clinic-port", "8490"], "--clinic-port and --secret belong together"),
        (["load", "hold", *LOCAL, "--clinic-port", "8490", "--secret", "whsec_***"], "not a secret"),
        (["load", "hold", *LOCAL, "--stalls", "3", "--pumps", "20"], "--stalls 3 needs 24 pumps"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", [["fleet"], ["load", "storm"]])
def test_more_connections_than_there_may_be_open_files_are_refused(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit of open files here")

    assert main([*command, *LOCAL, "--pumps", str(hard), "--connections", "pump"]) == 2
    error = capsys.readouterr().err
    assert f"the limit is {hard:,}: raise it" in error
    assert error.count("\n") == 1


def test_a_file_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    to = ("--registry", "/nonexistent/fleet.csv", "--control", str(tmp_path))

    assert main(["fleet", *LOCAL, *to, "--pumps", "2", "--backlog-hours", "0"]) == 2
    assert "/nonexistent/fleet.csv: No such file or directory" in capsys.readouterr().err


def test_what_was_injected_is_told_with_its_times() -> None:
    label = Label(
        pump_id="p000017",
        fault="stall",
        onset_ms=1_795_376_926_000,
        end_ms=1_795_384_126_000,
        counts_from_ms=1_795_376_926_000,
        earliest_ms=None,
        due_ms=1_795_378_653_000,
        expected=["stall"],
    )

    assert told(label) == (
        "p000017: stall from 2026-11-22 19:48:46 UTC until 2026-11-22 21:48:46 UTC; must raise stall; "
        "due by 2026-11-22 20:17:33 UTC"
    )
