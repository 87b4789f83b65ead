"""Log lines: one a decision, whatever a stranger put into its fields."""

import logging
import re

import pytest

from service import logs


def test_a_decision_is_one_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logs.configure("ingest", "info")
        logs.tell("alert_activated", pump="p000017", reason='a "b"\nc', empty="")
        logs.tell("not_shown", logging.DEBUG)
    finally:
        logging.getLogger().handlers.clear()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(
        r'20\d\d-\d\d-\d\dT[\d:.]+Z info pumpwatch\.ingest alert_activated pump=p000017 reason="a .*c" empty=""',
        lines[0],
    )
