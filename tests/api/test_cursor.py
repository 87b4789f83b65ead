"""Cursors: opaque, and refused unless they are ours."""

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api import cursor
from service.api.problems import Problem

AT = datetime(2026, 11, 22, 20, 30, 0, 123456, tzinfo=UTC)
SHAPES = (cursor.AfterPump, cursor.AfterReading, cursor.BeforePosition, cursor.AfterAlert)


def test_a_cursor_comes_back_to_the_microsecond_and_to_the_position() -> None:
    for key in (
        cursor.AfterPump("p1"),
        cursor.AfterReading(AT, (1 << 62) - 1),
        cursor.BeforePosition(0),
        cursor.AfterAlert(AT, UUID(int=7)),
    ):
        text = cursor.encode(*key)
        assert cursor.decode(text, type(key)) == key
        assert text.replace("-", "").replace("_", "").isalnum()


@given(st.text(), st.sampled_from(SHAPES))
def test_no_text_is_taken_for_a_cursor_by_accident(text: str, shape: type) -> None:
    with suppress(Problem):
        assert isinstance(cursor.decode(text, shape), shape)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ((1 << 63,), cursor.BeforePosition),
        ((-2,), cursor.BeforePosition),
        (("p\x00",), cursor.AfterPump),
        ((datetime(1, 1, 1, tzinfo=UTC), 0), cursor.AfterReading),
        (("2026-11-22T20:30:00", 0), cursor.AfterReading),
        ((AT, "7"), cursor.AfterAlert),
        ((AT,), cursor.AfterAlert),
    ],
)
def test_what_the_database_could_not_compare_with_is_refused(values: tuple[object, ...], shape: type) -> None:
    with pytest.raises(Problem):
        cursor.decode(cursor.encode(*values), shape)
