"""What does an endpoint get that wants a form of its own? A JSON text with `{{name}}` for each thing to be said.

There is no logic in a template: each name of the closed set below becomes its text, escaped for the JSON string that
it stands in. So nothing that a pump or a person has written can change the form.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z0-9_]*)\s*\}\}")

NAMES: Final = (
    *("id", "type", "timestamp", "title", "what", "do_now", "alert_id", "subject", "pump_id", "site", "condition"),
    *("priority", "state", "began_at", "detected_at", "program", "last_heard", "told", "board_url", "acknowledge_url"),
    *("simulated", "test", "drill"),
)

SAMPLE: Final[Mapping[str, Any]] = {
    "type": "alert.activated",
    "timestamp": "2026-11-22T20:28:46Z",
    "data": {
        "alert_id": "0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
        "subject": "pump:p000017",
        "pump_id": "p000017",
        "site": "north",
        "condition": "stall",
        "priority": "high",
        "state": "active",
        "began_at": "2026-11-22T19:59:00Z",
        "detected_at": "2026-11-22T20:28:46Z",
        "found_late": False,
        "simulated": True,
        "what": "The motor has not advanced since 19:59 UTC although 0.5 mL/d is programmed: "
        "about 10.4 µL have been missed.",
        "do_now": "Reach the patient now and have the pump interrogated.",
        "program_ml_d": 0.5,
        "program_ug_d": 250.0,
        "program": "0.5 mL/d, which is 250 µg/d",
        "last_heard": "at 20:28 UTC, 12 s before this was written",
        "told": ["clinic", "night desk"],
        "path": "/api/v1/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
        "board_url": "https://pumpwatch.example/alerts/0e9e9c34-52a5-5c2f-9a2b-8f2c6f1d7a11",
        "acknowledge_url": "https://pumpwatch.example/a/AQ",
    },
}
"""An own body with everything in it: for previews, and to try a template on."""
SAMPLE_KEY: Final = "R0UT1NG0" * 4


def fill(template: str, texts: Mapping[str, str]) -> str:
    """Put the texts in. Raises KeyError for a name that is not known."""

    def put(found: re.Match[str]) -> str:
        return msgspec.json.encode(texts[found[1]]).decode()[1:-1]

    return _PLACE.sub(put, template)


def texts_of(notification_id: str, title: str, own: Mapping[str, Any]) -> dict[str, str]:
    """Everything that a template can name, of one own body; what it does not say is empty."""
    said = {**own["data"], "id": notification_id, "type": own["type"], "timestamp": own["timestamp"], "title": title}
    return {name: _text(said.get(name)) for name in NAMES}


def template_problem(template: str, longest: int) -> str:
    """Return why the template cannot be used; empty if it renders."""
    if len(template) > longest:
        return f"must be at most {longest:,} characters"
    unknown = [name for name in _PLACE.findall(template) if name not in NAMES]
    if unknown:
        return f"there is no {{{{{unknown[0]}}}}}; there are {', '.join(NAMES)}"
    rest = _PLACE.sub("", template)
    if "{{" in rest:  # JSON itself never has it
        return "a {{ is not closed, or holds more than a name"
    try:
        filled = msgspec.json.decode(fill(template, texts_of("msg_1", 'A "title"', SAMPLE)))
    except (msgspec.DecodeError, RecursionError) as error:
        return f"filled with a sample it is not JSON: {error}"
    return "" if isinstance(filled, dict) else "filled with a sample it must be a JSON object"


def _text(value: object) -> str:
    match value:
        case None | False:
            return ""
        case True:
            return "yes"
        case list():
            return ", ".join(map(str, value))
    return str(value)
