"""Which positions a message that could not be taken would have filled."""

import msgspec
import pytest

from service.core.claim import claimed
from service.core.reading import position_of

WHOLE = {"boot": 7, "seq": 18042, "time_ms": [1, 2, 3], "mode": ["?"] * 3}
FIRST = position_of(7, 18042)


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
def test_a_message_that_can_be_read_claims_a_position_a_reading_and_one_an_event(encode: type) -> None:
    assert claimed(encode(WHOLE)) == (FIRST, FIRST + 2)
    assert claimed(encode(WHOLE | {"time_ms": 1})) == (FIRST, FIRST)


def test_one_that_is_broken_claims_what_its_beginning_says() -> None:
    text = msgspec.json.encode(WHOLE)
    assert claimed(text[:-9]) == (FIRST, FIRST + 2)
    assert claimed(text.replace(b"?", b"\xff")) == (FIRST, FIRST + 2)
    assert claimed(text[: text.index(b",3")]) == (FIRST, FIRST + 1)


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff\xff", b"{", b"[1]", b'{"boot":7}', b'{"boot":9999999,"seq":1}', b'{"boot":7,"seq":true}', b"{" * 9999],
)
def test_what_names_no_position_claims_none(head: bytes) -> None:
    assert claimed(head) is None
