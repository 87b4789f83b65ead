"""One line a decision: event first, then ids as fields, and nothing that moves a terminal's cursor."""

import logging

import pytest

from service import logs


def test_a_decision_is_one_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ingest", "info")
    logs.tell("alert_activated", pump="p1", note='said "no"\nand left', count=3)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'alert_activated pump=p1 note="said \\"no\\"\\nand left" count=3' in line
    assert " info pumpwatch.ingest " in line


def test_libraries_that_log_whole_addresses_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("deliver", "info")
    logging.getLogger("httpx").info("POST https://clinic/hook?key=secret")
    logging.getLogger("httpcore").info("POST https://clinic/hook?key=secret")
    assert capsys.readouterr().err == ""
