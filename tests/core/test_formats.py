"""Our bodies in the words of others, held to golden bodies; `SOURCES.md` beside those says whose forms they are."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.core.bodies import endpoint_disabled, endpoint_test
from service.core.endpoint import Format
from service.core.formats import render, title
from service.core.template import SAMPLE_KEY

GOLDEN = Path(__file__).parents[1] / "golden" / "webhooks"
KINDS = ["activated", "acknowledged", "resolved"]
NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
NEWS = [endpoint_disabled(UUID(int=1), "pager", NOW), endpoint_test(UUID(int=1), "pager", NOW)]


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return found


def rendered(own: dict[str, Any], form: str, template: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(render("msg_1", own, form, template, SAMPLE_KEY))
    return body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["alertmanager", "slack", "pagerduty"])
def test_a_body_is_the_golden_one(form: str, kind: str) -> None:
    assert rendered(golden(f"own_{kind}"), form) == golden(f"{form}_{kind}")


def test_our_own_form_is_sent_as_it_is() -> None:
    assert rendered(golden("own_activated"), Format.PUMPWATCH) == golden("own_activated")


def test_alertmanager_bodies_have_the_keys_of_its_version_4_and_no_others() -> None:
    body = rendered(golden("own_activated"), Format.ALERTMANAGER)
    assert set(body) == {
        *("version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels"),
        *("commonAnnotations", "externalURL", "alerts"),
    }
    [alert] = body["alerts"]
    assert set(alert) == {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
    assert len(alert["fingerprint"]) == 16
    assert all(isinstance(text, str) for text in [*alert["labels"].values(), *alert["annotations"].values()])


def test_one_alert_is_one_incident_at_pagerduty_from_its_onset_to_its_end() -> None:
    events = [rendered(golden(f"own_{kind}"), Format.PAGERDUTY) for kind in KINDS]
    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1
    assert all(len(event["routing_key"]) == 32 for event in events)
    assert len(events[0]["payload"]["summary"]) <= 1024


def test_a_rise_is_told_to_pagerduty_as_the_same_incident() -> None:
    own = golden("own_activated") | {"type": "alert.priority_rose"}
    event = rendered(own, Format.PAGERDUTY)
    assert (event["event_action"], event["dedup_key"]) == ("trigger", own["data"]["alert_id"])


def test_text_stays_text_at_slack() -> None:
    own = golden("own_activated")
    own["data"]["site"] = "<!channel> & co"
    own["data"]["what"] = "<http://x|y>"
    body = rendered(own, Format.SLACK)
    assert "<!channel>" not in body["text"]
    assert body["blocks"][1]["text"]["text"].endswith("&lt;http://x|y&gt;")
    assert body["blocks"][0]["text"]["type"] == "plain_text"


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("own", NEWS, ids=["disabled", "test"])
def test_news_that_is_of_no_alert_can_be_told_in_every_form(form: Format, own: dict[str, Any]) -> None:
    assert "pager" in json.dumps(rendered(own, form))


def test_a_title_says_what_how_urgent_and_that_it_is_simulated() -> None:
    own = golden("own_activated")
    assert title(own) == "[simulated] HIGH: stall, p000017 (north)"
    own["data"] |= {"simulated": False, "pump_id": None}
    assert title(own) == "HIGH: stall, north"
    assert title(own | {"type": "alert.resolved"}) == "RESOLVED: stall, north"
    assert title(own | {"type": "alert.priority_rose"}) == "NOW HIGH: stall, north"


def test_an_endpoint_s_own_template_wins() -> None:
    body = rendered(golden("own_activated"), Format.PUMPWATCH, '{"text": "{{title}}", "key": "{{ alert_id }}"}')
    assert body == {
        "text": "[simulated] HIGH: stall, p000017 (north)",
        "key": golden("own_activated")["data"]["alert_id"],
    }
