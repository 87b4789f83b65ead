"""What exactly is sent: the stored body, the links that only the sender can make, in the endpoint's form."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from service.core.link import Link, read_token
from service.loops.letters import Letters
from tests.webhooks.rows import a_claimed

KEY = b"k" * 32
PUBLIC = Letters("https://pumpwatch.example", KEY)
CLAIMED = a_claimed("https://clinic.example/", "whsec_x")


def test_an_activation_carries_a_link_that_acknowledges_and_one_to_the_board() -> None:
    data = json.loads(PUBLIC.write(CLAIMED))["data"]
    assert data["board_url"] == f"https://pumpwatch.example/alerts/{CLAIMED.alert_id}"
    address, _, token = data["acknowledge_url"].rpartition("/")
    assert address == "https://pumpwatch.example/a"
    link = read_token([KEY], token, datetime.now(UTC))
    assert isinstance(link, Link)
    assert (link.alert_id, link.endpoint, link.number) == (CLAIMED.alert_id, CLAIMED.endpoint, CLAIMED.number)
    assert timedelta(hours=23, minutes=59) < link.expires_at - CLAIMED.since <= timedelta(hours=24)


def test_every_attempt_sends_equal_bytes() -> None:
    assert PUBLIC.write(CLAIMED) == PUBLIC.write(replace(CLAIMED, attempts=7, failures=7))


def test_what_asks_nothing_and_what_is_of_no_alert_has_nothing_to_acknowledge() -> None:
    for kind in ("acknowledged", "resolved"):
        assert "acknowledge_url" not in json.loads(PUBLIC.write(replace(CLAIMED, kind=kind)))["data"]
    news = json.loads(PUBLIC.write(replace(CLAIMED, kind="endpoint_disabled", alert_id=None)))["data"]
    assert not {"acknowledge_url", "board_url"} & set(news)


def test_without_a_public_address_or_a_key_there_are_no_links_that_lead_nowhere() -> None:
    assert not {"acknowledge_url", "board_url"} & set(json.loads(Letters("", KEY).write(CLAIMED))["data"])
    assert set(json.loads(Letters("https://p.example", None).write(CLAIMED))["data"]) == {"what", "board_url"}
