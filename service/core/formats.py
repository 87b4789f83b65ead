"""In which words of others is a notification told? Alertmanager's, Slack's and PagerDuty's, each from our own body.

Sources, held to golden bodies in tests/golden/webhooks: Alertmanager's webhook_config (version 4), Slack's incoming
webhooks with Block Kit, PagerDuty's Events API v2.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from service.core.endpoint import Format
from service.core.template import fill, texts_of

Body = Mapping[str, Any]

_NEVER: Final = "0001-01-01T00:00:00Z"  # Go's zero time: how Alertmanager says that an alert has not ended
_PROMETHEUS: Final = {"high": "critical", "medium": "warning", "low": "info"}
_PAGERDUTY_ACTIONS: Final = {"alert.acknowledged": "acknowledge", "alert.resolved": "resolve"}
_COLOURS: Final = {"high": ":red_circle:", "medium": ":large_orange_circle:", "low": ":large_blue_circle:"}
_OWN_TITLES: Final = {"test": "Test of a pumpwatch endpoint", "disabled": "A pumpwatch endpoint was disabled"}
_SUMMARY: Final = 1024  # PagerDuty's limit of a summary
_SECTION: Final = 3000  # Slack's limit of a section's text
_HEADER: Final = 150  # Slack's limit of a header


def render(notification_id: str, own: Body, form: str, template: str | None, routing_key: str | None) -> bytes:
    """Return the bytes to send: the same for the same notification, however often it is tried."""
    if template is not None:
        return fill(template, texts_of(notification_id, title(own), own)).encode()
    match Format(form):
        case Format.PUMPWATCH:
            return msgspec.json.encode(own)
        case Format.ALERTMANAGER:
            return msgspec.json.encode(alertmanager(notification_id, own))
        case Format.SLACK:
            return msgspec.json.encode(slack(own))
        case Format.PAGERDUTY:
            return msgspec.json.encode(pagerduty(notification_id, own, routing_key or ""))


def title(own: Body) -> str:
    """One line that says what it is about."""
    said = own["data"]
    _, _, kind = own["type"].partition(".")
    if not own["type"].startswith("alert."):
        return _OWN_TITLES.get(kind, str(kind))
    what = str(said["condition"]).replace("_", " ")
    about = said.get("pump_id") or said.get("site") or "the service"
    site = f" ({said['site']})" if said.get("site") and said.get("pump_id") else ""
    state = {"activated": said["priority"], "priority_rose": f"now {said['priority']}"}.get(kind, kind)
    simulated = "[DRILL] " if said.get("drill") else "[simulated] " if said.get("simulated") else ""
    return f"{simulated}{state.replace('_', ' ').upper()}: {what}, {about}{site}"


def alertmanager(notification_id: str, own: Body) -> dict[str, Any]:
    """https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"""
    said, over = own["data"], own["type"] == "alert.resolved"
    about = said.get("alert_id") or notification_id
    labels = {
        "alertname": said.get("condition") or own["type"],
        "severity": _PROMETHEUS[said["priority"]],
        **{name: said[name] for name in ("pump_id", "site", "alert_id") if said.get(name)},
        "simulated": "true" if said.get("simulated") else "false",
        **({"drill": "true"} if said.get("drill") else {}),
    }
    notes = {"summary": title(own), "description": said["what"], "do_now": said["do_now"]}
    notes |= {name: said[name] for name in ("program", "last_heard", "acknowledge_url") if said.get(name)}
    link = said.get("board_url") or ""
    status = "resolved" if over else "firing"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": notes,
        "startsAt": said.get("began_at") or own["timestamp"],
        "endsAt": own["timestamp"] if over else _NEVER,
        "generatorURL": link,
        "fingerprint": hashlib.sha256(str(about).encode()).hexdigest()[:16],
    }
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alert_id="{about}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "pumpwatch",
        "groupLabels": {"alert_id": str(about)},
        "commonLabels": labels,
        "commonAnnotations": notes,
        "externalURL": link,
        "alerts": [alert],
    }


def slack(own: Body) -> dict[str, Any]:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
    said, headline = own["data"], title(own)
    over = own["type"] in {"alert.resolved", "alert.acknowledged"}
    mark = ":white_check_mark:" if over else _COLOURS[said["priority"]]
    told = f"Told: {', '.join(said['told'])}" if said.get("told") else ""
    small = [said.get("program"), said.get("last_heard") and f"Last heard {said['last_heard']}", told]
    links = [("Acknowledge", said.get("acknowledge_url"), "primary"), ("Open", said.get("board_url"), None)]
    buttons = [
        {"type": "button", "text": {"type": "plain_text", "text": text}, "url": url}
        | ({"style": style} if style else {})
        for text, url, style in links
        if url
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": headline[:_HEADER], "emoji": True}},
        _section(f"{mark} {_escaped(said['what'])}"),
        _section(f"*What to do now:* {_escaped(said['do_now'])}"),
    ]
    if any(small):
        text = " · ".join(_escaped(each) for each in small if each)
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": text[:_SECTION]}]})
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": _escaped(f"{headline}: {said['what']}"), "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_SECTION]}}


def _escaped(text: str) -> str:
    """Slack: these three characters control, everything else is text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pagerduty(notification_id: str, own: Body, routing_key: str) -> dict[str, Any]:
    """https://developer.pagerduty.com/docs/events-api-v2/trigger-events/; one incident an alert, by its id."""
    said = own["data"]
    action = _PAGERDUTY_ACTIONS.get(own["type"], "trigger")
    event = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": said.get("alert_id") or notification_id,
    }
    if action != "trigger":
        return event
    links = [("Acknowledge", said.get("acknowledge_url")), ("Open", said.get("board_url"))]
    link = {"client": "pumpwatch"} | ({"client_url": said["board_url"]} if said.get("board_url") else {})
    details = {name: value for name, value in said.items() if not name.endswith(("_url", "path"))}
    return event | {
        "payload": {
            "summary": f"{title(own)}. {said['what']}"[:_SUMMARY],
            "source": said.get("pump_id") or said.get("site") or "pumpwatch",
            "severity": _PROMETHEUS[said["priority"]],
            "timestamp": own["timestamp"],
            **({"component": "pump", "group": said["site"]} if said.get("site") else {}),
            "class": said.get("condition") or own["type"],
            "custom_details": details,
        },
        "links": [{"href": url, "text": text} for text, url in links if url],
        **link,
    }
