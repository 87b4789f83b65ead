"""The body of a webhook, held to docs/interface.md."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.core.answers import acknowledge
from service.core.bodies import body_of, with_links
from service.core.change import Condition, Turn
from service.core.lifecycle import Move, NotificationKind, begin, rise, turn
from tests.episodes import PUMP, an_alert, at, given, turned


def body(move: Move | None, minute: float = 31, **pump: Any) -> dict[str, Any]:
    """As it is sent."""
    assert move is not None
    assert move.tells is not None
    return msgspec.json.decode(
        msgspec.json.encode(body_of(move.tells, move.alert, replace(PUMP, **pump), "Reach the patient.", at(minute)))
    )


def an_onset(**options: Any) -> Move:
    change = turned(Turn.BEGAN, 30, began=10, flow_ml_d=0.0, missed_ul=10.4, **options)
    return begin(change, None, given(31))


def test_an_activation_says_what_where_when_and_what_to_do() -> None:
    move = an_onset()
    assert body(move) == {
        "type": "alert.activated",
        "timestamp": "2026-11-22T19:31:00Z",
        "data": {
            "alert_id": str(move.alert.id),
            "subject": "pump:p000001",
            "pump_id": "p000001",
            "site": "north",
            "condition": "stall",
            "priority": "high",
            "state": "active",
            "began_at": "2026-11-22T19:10:00Z",
            "detected_at": "2026-11-22T19:30:00Z",
            "found_late": False,
            "simulated": False,
            "what": "The motor has not advanced since 19:10 UTC although 0.5 mL/d is programmed: "
            "about 10.4 µL have been missed.",
            "do_now": "Reach the patient.",
            "program_ml_d": 0.5,
            "program_ug_d": 250.0,
            "program": "0.5 mL/d, which is 250 µg/d",
            "last_heard": None,
            "told": [],
            "path": f"/api/v1/alerts/{move.alert.id}",
        },
    }


def test_the_documented_example_has_these_keys_and_no_others() -> None:
    page = (Path(__file__).parents[2] / "docs" / "interface.md").read_text(encoding="utf-8")
    example = json.loads(re.findall(r"```json\n(.*?)```", page.partition("## Webhooks")[2], re.DOTALL)[0])
    told = body(an_onset())
    assert list(told) == list(example)
    assert list(told["data"]) == list(example["data"])


@pytest.mark.parametrize("kind", NotificationKind)
def test_every_kind_that_a_body_can_have_is_documented(kind: NotificationKind) -> None:
    page = (Path(__file__).parents[2] / "docs" / "interface.md").read_text(encoding="utf-8")
    assert f"`alert.{kind}`" in page


def test_a_dose_is_said_as_people_say_it_beside_its_volume() -> None:
    assert body(an_onset(), concentration_ug_ml=2000.0)["data"]["program"] == "0.5 mL/d, which is 1 mg/d"
    assert body(an_onset(), concentration_ug_ml=None)["data"]["program"] == "0.5 mL/d"


def test_it_says_when_the_pump_was_last_heard_and_who_else_is_told() -> None:
    move = an_onset()
    told = body_of(
        NotificationKind.ACTIVATED, move.alert, PUMP, "", at(31), last_heard_at=at(2), told=["clinic", "night desk"]
    )
    assert told["data"]["last_heard"] == "at 19:02 UTC, 29 min before this was written"
    assert told["data"]["told"] == ["clinic", "night desk"]


def test_links_are_added_where_there_are_any() -> None:
    own = body(an_onset())
    assert with_links(own, "", "") == own
    assert with_links(own, "https://x/a", "https://x/b")["data"] == own["data"] | {
        "board_url": "https://x/a",
        "acknowledge_url": "https://x/b",
    }


def test_without_a_known_concentration_there_is_no_dose() -> None:
    data = body(an_onset(), concentration_ug_ml=None)["data"]
    assert (data["program_ml_d"], data["program_ug_d"]) == (0.5, None)


def test_readings_that_came_long_after_they_were_measured_are_told_with_both_clocks() -> None:
    told = body(an_onset(delayed=True), 400)
    assert told["data"]["what"].endswith("The readings that show it reached us late, at 01:40 UTC.")
    assert "since 19:10 UTC on 22 November 2026" in told["data"]["what"]


def test_an_acknowledgement_names_no_person() -> None:
    told = body(acknowledge(an_onset().alert, "ada.lovelace", "call me at home", at(33)))
    assert told["type"] == "alert.acknowledged"
    assert "ada" not in json.dumps(told)
    assert "call me" not in json.dumps(told)
    assert told["data"]["what"].startswith("A person has acknowledged this alert.")


def test_a_rise_says_to_what() -> None:
    low = an_alert(30, Condition.RESERVOIR_LOW)
    told = body(rise(low, turned(Turn.ROSE, 90, Condition.RESERVOIR_LOW, step=2), given(90)))
    assert told["type"] == "alert.priority_rose"
    assert told["data"]["what"].startswith("The priority rose to medium.")


def test_a_resolution_asks_for_nothing_more() -> None:
    alert = an_alert(30, Condition.UNDER_DELIVERY)
    told = body(turn(turned(Turn.ENDED, 60, Condition.UNDER_DELIVERY), alert, None, given(61), announced=True))
    assert (told["type"], told["data"]["state"]) == ("alert.resolved", "resolved")
    assert told["data"]["do_now"] == "Nothing more: this closes the alert."
