"""Acknowledgement links: whoever holds one was sent it, and nobody can make one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.core.link import Link, Refusal, read_token, token_of

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
KEY, OTHER = b"k" * 32, b"o" * 32
LINK = Link(UUID(int=1), UUID(int=2), 3, NOW + timedelta(hours=24))


@given(alert=st.uuids(), endpoint=st.uuids(), number=st.integers(0, 2**32 - 1))
def test_a_link_says_what_it_was_made_for_and_fits_into_a_path(alert: UUID, endpoint: UUID, number: int) -> None:
    link = Link(alert, endpoint, number, NOW + timedelta(hours=1))
    token = token_of(KEY, link)
    assert read_token([KEY], token, NOW) == link
    assert token.replace("-", "").replace("_", "").isalnum()
    assert len(token) < 100


def test_while_keys_are_rotated_links_of_either_are_good() -> None:
    assert read_token([OTHER, KEY], token_of(KEY, LINK), NOW) == LINK
    assert read_token([OTHER], token_of(KEY, LINK), NOW) is Refusal.UNKNOWN
    assert read_token([], token_of(KEY, LINK), NOW) is Refusal.UNKNOWN


def test_a_link_ends() -> None:
    token = token_of(KEY, LINK)
    assert read_token([KEY], token, LINK.expires_at - timedelta(seconds=1)) == LINK
    assert read_token([KEY], token, LINK.expires_at) is Refusal.EXPIRED


@given(position=st.integers(0, 75), bit=st.integers(0, 5))
def test_no_changed_link_is_ours(position: int, bit: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = token_of(KEY, LINK)
    changed = alphabet[alphabet.index(token[position]) ^ 1 << bit]
    assert read_token([KEY], token[:position] + changed + token[position + 1 :], NOW) is Refusal.UNKNOWN


@given(st.text(max_size=200))
def test_no_text_does_harm(token: str) -> None:
    assert read_token([KEY], token, NOW) is Refusal.UNKNOWN
