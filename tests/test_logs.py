"""One line a decision: event first, then ids as fields, and nothing that moves a terminal's cursor."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from service import logs


def test_a_decision_is_one_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ingest", "info")
    logs.tell("alert_activated", pump="p1", note='said "no"\nand left', count=3)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'alert_activated pump=p1 note="said \\"no\\"\\nand left" count=3' in line
    assert " info pumpwatch.ingest " in line


def test_for_programs_the_same_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("ingest", "info", "json")
    logs.tell(
        "alert_activated", pump="p1", note='said "no"\nand left', count=3, ratio=float("nan"), time="noon", logger="a"
    )
    broken = ValueError("broken")
    logging.getLogger("somebody.else").error("request_failed", exc_info=(ValueError, broken, None))
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    at = ours.pop("time")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(at)) < timedelta(minutes=5)
    assert ours == {
        "level": "info",
        "logger": "pumpwatch.ingest",
        "event": "alert_activated",
        "pump": "p1",
        "note": 'said "no"\nand left',
        "count": 3,
        "ratio": "nan",
        "field_time": "noon",
        "field_logger": "a",
    }
    assert theirs["logger"] == "somebody.else"
    assert theirs["exception"].endswith("ValueError: broken")


def test_libraries_that_log_whole_addresses_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("deliver", "info")
    logging.getLogger("httpx").info("POST https://clinic/hook?key=secret")
    logging.getLogger("httpcore").info("POST https://clinic/hook?key=secret")
    assert capsys.readouterr().err == ""
