"""What takes long says how far it is; what does not is quiet."""

import itertools

import pytest

from simulators.progress import Steps


def test_plain_lines_now_and_then_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = itertools.count(0.0, 1.0)
    with Steps(lambda: next(seconds)) as steps:
        for second in range(12):
            steps.show("backlog", second / 12)
        steps.say("done")

    assert capsys.readouterr().err.splitlines() == [" 33% backlog", " 75% backlog", "done"]


def test_a_short_stage_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps() as steps:
        steps.stage()
        steps.show("backlog", 0.5)

    assert capsys.readouterr().err == ""
