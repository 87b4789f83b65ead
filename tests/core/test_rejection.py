"""What is said of a hostile message is itself harmless: short, printable, one of a bounded list of reasons."""

import re

from hypothesis import given
from hypothesis import strategies as st

from service.core.rejection import MAX_DETAIL_CHARACTERS, Reason, one_line


@given(st.text(st.characters(), max_size=400))
def test_a_detail_is_one_short_printable_line(text: str) -> None:
    shown = one_line(text)
    assert len(shown) <= MAX_DETAIL_CHARACTERS
    assert shown.isprintable()
    shown.encode()


def test_a_detail_that_is_harmless_is_left_as_it_is() -> None:
    assert (
        one_line("Expected `float`, got `str` - at `$.flow_ml_d[3]`")
        == "Expected `float`, got `str` - at `$.flow_ml_d[3]`"
    )
    assert one_line("läuft") == "läuft"


def test_reasons_are_words_for_a_column_and_a_label() -> None:
    assert all(re.fullmatch("[a-z_]+", reason) for reason in Reason)
