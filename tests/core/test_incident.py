"""One alert on paper: it is all there, what strangers wrote stays text, and nothing is loaded from elsewhere."""

from html.parser import HTMLParser

from service.core.incident import Incident, chart, page
from tests.episodes import at


class Whole(HTMLParser):
    """Fails where a tag is not closed; keeps the tags and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.said = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


def test_it_holds_readings_limits_timeline_who_was_told_and_who_answered() -> None:
    rows = {"measured_at": ["19:00", "19:01"], "program_ml_d": [0.5, 0.5], "flow_ml_d": [0.5, 0.0]}
    evil = "<script>alert(1)</script>"
    tries = [{"at": "19:31", "outcome": "delivered", "status": 204}]
    found = page(
        Incident(
            title="Stall, p1",
            do_now="Go & look.",
            facts=[("raised at", at(30)), ("resolved at", None)],
            evidence={"missed_ul": 10.4, "readings": rows},
            history=[
                {"at": at(30), "event": "condition_began", "actor": "rules", "note": ""},
                {"at": at(31), "event": "acknowledged", "actor": "ada", "note": evil},
            ],
            notifications=[
                {"created_at": at(30), "endpoint": "desk", "kind": "activated", "state": "delivered", "tries": tries}
            ],
            written_at=at(60),
        )
    )
    whole = Whole(found)
    assert "script" not in whole.tags
    for said in ("missed_ul", "10.4", "desk", "delivered 204", "ada", evil, "Go & look.", "2026-11-22 19:30:00 UTC"):
        assert said in whole.said, said
    assert found.count("<polyline") == 2


def test_without_readings_it_says_so() -> None:
    assert chart({}) == "<p>No readings decided this.</p>"
