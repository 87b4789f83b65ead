"""CSV that a spreadsheet opens as what it is."""

import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from service.core.sheet import lines, safe


def test_text_that_would_be_a_formula_is_text_and_numbers_stay_numbers() -> None:
    row = ["=1+1", "@cmd", "-p1", " +x", "p-1", -2.5, None, datetime(2026, 11, 22, 20, tzinfo=UTC)]
    assert lines([row]) == "'=1+1,'@cmd,'-p1,' +x,p-1,-2.5,,2026-11-22T20:00:00.000Z\r\n"


@given(st.text())
def test_what_was_made_safe_begins_no_formula_and_comes_back_whole(text: str) -> None:
    (cell,) = next(csv.reader(io.StringIO(lines([[text, 1]]), newline="")))[:1]
    assert cell == safe(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
