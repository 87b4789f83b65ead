"""Whose address counts."""

import pytest

from service.core.caller import caller_of, parse_proxies

PROXIES = parse_proxies("127.0.0.1, 10.1.0.0/16 ::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9:5678"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1:80, 203.0.113.9:5678, 10.1.2.3:443"], "203.0.113.9"),
        ("127.0.0.1", ["[2001:db8:1:2::7]:5678"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["203.0.113.9, [::1]:5678"], "203.0.113.9"),
        ("127.0.0.1", ["[2001:db8:1:2::7]"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["2001:db8:1:2::7"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["unknown:5678"], "127.0.0.1"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("2001:db8:1:2:aaaa::1", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::7", [], "2001:db8:1:2::/64"),
        ("", [], ""),
        ("a socket", ["203.0.113.9"], ""),
    ],
)
def test_it_is_what_the_last_proxy_of_ours_saw_and_never_what_a_stranger_wrote(
    peer: str, forwarded: list[str], caller: str
) -> None:
    assert caller_of(peer, forwarded, PROXIES) == caller


def test_without_proxies_of_ours_nobodys_word_is_taken() -> None:
    assert caller_of("127.0.0.1", ["203.0.113.9"], ()) == "127.0.0.1"


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(ValueError, match="proxy.internal"):
        parse_proxies("proxy.internal")
