"""Where notifications may be sent."""

import pytest

from service.core.address import Allowed
from service.core.endpoint import Format, endpoint_problems, settings_problems

ALLOWED = Allowed.parse("127.0.0.0/8 ::1 10.1.0.0/16, hooks.internal")


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example/pumpwatch?key=1",
        "https://93.184.216.34:8443/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        "https://hooks.internal/",
        "http://hooks.internal:8080/",
        "https://10.1.2.3/",
        "http://127.0.0.1:9000/hook",
        "http://[::1]:9000/hook",
        "http://localhost/hook",
    ],
)
def test_https_goes_to_public_addresses_and_anything_where_it_was_allowed(url: str) -> None:
    assert endpoint_problems("clinic", url, ALLOWED) == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "https://"),
        ("clinic.example", "https://"),
        ("ftp://clinic.example", "https://"),
        ("https:///hook", "name a host"),
        ("http://clinic.example/", "PUMPWATCH_WEBHOOK_ALLOW"),
        ("http://127.0.0.1.example/", "PUMPWATCH_WEBHOOK_ALLOW"),
        ("http://93.184.216.34/", "PUMPWATCH_WEBHOOK_ALLOW"),
        ("https://192.168.1.7/", "a private address"),
        ("https://169.254.169.254/latest", "metadata"),
        ("https://[::ffff:10.0.0.1]/", "a private address"),
        ("https://127.0.0.1/", "a loopback address"),
        ("https://localhost/", "a loopback address"),
        ("https://clinic.example:0/", "not a URL"),
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


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({"format": "carrier_pigeon"}, "format", "there are pumpwatch, alertmanager, slack, pagerduty"),
        ({"format": "pagerduty"}, "routing_key", "needs"),
        ({"format": "pagerduty", "routing_key": "a b"}, "routing_key", "letters and digits"),
        ({"format": "slack", "template": "{}"}, "template", "either"),
        ({"template": '{"text": "{{wat}}"}'}, "template", "there is no {{wat}}"),
        ({"priorities": []}, "priorities", "disable it instead"),
        ({"priorities": ["urgent"]}, "priorities", "there is no priority urgent"),
        ({"answer_within_s": 0.5}, "answer_within_s", "1 to 30"),
        ({"answer_within_s": float("nan")}, "answer_within_s", "1 to 30"),
        ({"most_requests": 0}, "most_requests", "1 to 64"),
    ],
)
def test_any_other_wish_is_refused_with_the_reason(given: dict[str, object], field: str, why: str) -> None:
    [(wrong, what)] = settings_problems(given, has_routing_key="routing_key" in given)
    assert wrong == field
    assert why in what


def test_every_format_can_be_had() -> None:
    for form in Format:
        assert settings_problems({"format": form, "routing_key": "R0" * 16}, has_routing_key=True) == []
