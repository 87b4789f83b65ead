"""Which addresses a webhook may be sent to."""

import pytest

from service.core.address import Allowed, why_refused


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_public_addresses_may_be_sent_to(address: str) -> None:
    assert why_refused(address) == ""


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd12::1", "unique local"),
        ("100.64.0.1", "carrier"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("192.0.2.1", "reserved"),
        ("2001:db8::1", "reserved"),
        ("4000::1", "reserved"),
        ("169.254.169.254", "metadata"),
        ("168.63.129.16", "metadata"),
        ("100.100.100.200", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("64:ff9b:1::7f00:1", "reserved"),
        ("2002:7f00:1::", "loopback"),
        ("2001:0:7f00:1::", "reserved"),
        ("::127.0.0.1", "loopback"),
        ("nonsense", "not an address"),
    ],
)
def test_any_other_is_refused_however_it_is_wrapped(address: str, reason: str) -> None:
    assert reason in why_refused(address)


def test_what_was_allowed_by_network_or_by_name_may_be_sent_to_and_nothing_beside_it() -> None:
    allowed = Allowed.parse("127.0.0.0/8, hooks.internal. 10.1.2.3")
    assert why_refused("127.0.0.1", "x.example", allowed) == ""
    assert why_refused("::ffff:127.0.0.1", "x.example", allowed) == ""
    assert why_refused("10.9.9.9", "Hooks.Internal", allowed) == ""
    assert why_refused("10.1.2.3", "x.example", allowed) == ""
    assert why_refused("10.9.9.9", "x.example", allowed)
    assert allowed.names("localhost")
    assert allowed.names("[::1]") is False


@pytest.mark.parametrize("text", ["10.0.0.0/99", "http://x", "a..b", "10.0.0.1/8"])
def test_an_allow_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a network"):
        Allowed.parse(text)
