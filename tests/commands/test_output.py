"""How commands print."""

from datetime import UTC, datetime

from service.commands.output import shown, table


def test_columns_are_aligned_and_lines_have_no_tail() -> None:
    assert table(("NAME", "X"), [("ward 3", None), ("b", True)]) == "NAME    X\nward 3  -\nb       yes"


def test_what_a_stranger_wrote_is_shown_and_cannot_move_the_cursor() -> None:
    assert shown("a\x1b[2J\r\n\u202e\x9bé") == "a\\x1b[2J\\r\\n\\u202e\\x9bé"
    assert shown(datetime(2026, 11, 22, 20, 30, tzinfo=UTC)) == "2026-11-22T20:30:00Z"
