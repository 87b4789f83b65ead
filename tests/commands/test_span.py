"""Spans of time as commands take them."""

from argparse import ArgumentParser
from datetime import UTC, datetime

import pytest

from service.commands.span import add_span, wrong


def test_times_are_utc_unless_they_name_a_zone(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    add_span(parser)
    given = parser.parse_args(["--from", "2026-11-22", "--to", "2026-11-22T02:00:00+02:00"])
    assert given.since == given.until == datetime(2026, 11, 22, tzinfo=UTC)
    assert wrong(given)
    assert not wrong(parser.parse_args([]))
    with pytest.raises(SystemExit):
        parser.parse_args(["--from", "yesterday"])
    assert "yesterday: not a time" in capsys.readouterr().err
