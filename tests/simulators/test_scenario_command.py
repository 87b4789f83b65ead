"""`pumpsim scenario`, as it is called."""

from pathlib import Path

import pytest

from simulators.cli import main
from simulators.scenario import packaged

WRONG = 'title = "t"\ndescription = "d"\nlasts = "1 year"\nmood = "bad"\n'


def test_scenarios_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenario", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == packaged()
    assert any(line.endswith("The rotor stands still and stays so") for line in listed)

    assert main(["scenario", "show", "stall"]) == 0
    assert 'what = "stall"' in capsys.readouterr().out


@pytest.mark.parametrize("command", [["scenario", "show"], ["generate", "--scenario"]], ids=" ".join)
def test_a_scenario_with_mistakes_ends_with_all_of_them_and_code_two(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(WRONG, encoding="utf-8")

    assert main([*command, str(file)]) == 2
    told = capsys.readouterr().err
    assert f"{file}:3: lasts: '1 year' is no duration" in told
    assert f"{file}:4: unknown key mood; known are description, expect" in told

    assert main([*command, str(tmp_path / "none.toml")]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err
