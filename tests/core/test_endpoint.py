"""Where notifications may be sent."""

import pytest

from service.core.endpoint import endpoint_problems


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example/pumpwatch?key=1",
        "https://192.0.2.7:8443/",
        "http://127.0.0.1:9000/hook",
        "http://[::1]:9000/hook",
        "http://localhost/hook",
    ],
)
def test_https_goes_anywhere_and_http_to_this_machine(url: str) -> None:
    assert endpoint_problems("clinic", url) == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "https://"),
        ("clinic.example", "https://"),
        ("ftp://clinic.example", "https://"),
        ("https:///hook", "name a host"),
        ("http://clinic.example/", "loopback"),
        ("http://127.0.0.1.example/", "loopback"),
        ("http://192.0.2.7/", "loopback"),
        ("https://user:secret@clinic.example/", "user"),
        ("https://clinic.example/#top", "fragment"),
        ("https://clinic.example:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://clinic.example/\r\nX: y", "blanks"),
        ("https://clinic.example/" + "x" * 2048, "2048"),
    ],
)
def test_any_other_address_is_refused_with_the_reason(url: str, why: str) -> None:
    [(field, what)] = endpoint_problems("clinic", url)
    assert field == "url"
    assert why in what


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_name_can_be_shown(name: str) -> None:
    [(field, _)] = endpoint_problems(name, "https://clinic.example")
    assert field == "name"
