"""The checker is told made-up stories: a true one passes, and each way to be wrong is named."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.failures.checker import Finding, Label, Verdict, check, uncovered
from tests.failures.said import Item, Line, Said, position_of
from tests.failures.stored import Raised, Row, Stored

END_MS = 1_000_000
AT = [position_of(3, seq) for seq in range(6)]


class Story:
    """Two pumps: p1 stalls from its third reading on, p2 is well; everything is as it should be."""

    def __init__(self) -> None:
        self.lines = [
            measured("p1", 0, [0.5, 0.5, 0.0]),
            measured("p2", 0, [0.4]),
            event("p2", 1),
            receipt("p1", 1),
            measured("p1", 3, [0.0]),
            receipt("p2", 1),
            receipt("p1", 3),
        ]
        self.rows = [
            *(Row("p1", AT[seq], Item(1000 * seq, flow)) for seq, flow in enumerate((0.5, 0.5, 0.0, 0.0))),
            Row("p2", AT[0], Item(0, 0.4)),
            Row("p2", AT[1], Item(1000, None)),
        ]
        self.raised = [Raised("p1", "stall", (AT[3],), 2000, None, behind_a_gap=False, withdrawn=False, unannounced=0)]
        self.labels = [Label("p1", "stall", END_MS, ["stall"], ["under_delivery"])]
        self.oracle = [Finding("p1", "stall", AT[3], 2000, None)]

    def verdict(self) -> Verdict:
        return check(self.said(), Stored(self.rows, self.raised), self.labels, self.oracle, END_MS)

    def said(self) -> Said:
        said = Said()
        for line in self.lines:
            said.take(line)
        return said


def measured(pump_id: str, seq: int, flows: list[float]) -> Line:
    times = [1000 * (seq + number) for number in range(len(flows))]
    message = {"boot": 3, "seq": seq, "time_ms": times, "flow_ml_d": flows}
    return Line("measured", 0, pump_id, msgspec.Raw(msgspec.json.encode(message)))


def event(pump_id: str, seq: int) -> Line:
    message = {"boot": 3, "seq": seq, "time_ms": 1000 * seq, "type": "mri_began"}
    return Line("measured", 0, pump_id, msgspec.Raw(msgspec.json.encode(message)))


def receipt(pump_id: str, through: int) -> Line:
    return Line("receipt", 0, pump_id, boot=3, through=through)


def test_a_true_story_has_no_problems() -> None:
    verdict = Story().verdict()
    assert verdict.problems == []
    assert uncovered(Story().said(), {"p1": 4, "p2": 2}) == []


def drop_a_row(story: Story) -> None:
    del story.rows[3]


def drop_an_event(story: Story) -> None:
    del story.rows[5]


def repeat_a_row(story: Story) -> None:
    story.rows.append(story.rows[2]._replace(item=Item(77, 0.0)))  # the key of the table would not have noticed


def invent_a_row(story: Story) -> None:
    story.rows.append(Row("p2", AT[5], Item(5000, 0.4)))


def invent_a_pump(story: Story) -> None:
    story.rows.append(Row("p3", AT[0], Item(0, 0.4)))


def alter_a_value(story: Story) -> None:
    story.rows[0] = story.rows[0]._replace(item=Item(0, 0.501))


def alter_a_time(story: Story) -> None:
    story.rows[5] = story.rows[5]._replace(item=Item(1001, None))


def never_send_the_last_receipt(story: Story) -> None:
    story.lines.pop()


def let_go_of_a_reading(story: Story) -> None:
    story.lines.append(Line("overwritten", 0, "p1", boot=3, items=2))


def raise_nothing(story: Story) -> None:
    story.raised.clear()


def raise_it_twice(story: Story) -> None:
    story.raised *= 2


def raise_it_on_a_healthy_pump(story: Story) -> None:
    story.raised.append(story.raised[0]._replace(pump_id="p2"))


def raise_another_condition(story: Story) -> None:
    story.raised.append(story.raised[0]._replace(condition="over_delivery"))


def raise_it_at_another_reading(story: Story) -> None:
    story.raised[0] = story.raised[0]._replace(onsets=(AT[2],))


def begin_it_twice(story: Story) -> None:
    story.raised[0] = story.raised[0]._replace(onsets=(AT[3], AT[3]))


def end_it(story: Story) -> None:
    story.raised[0] = story.raised[0]._replace(ended_ms=5000)


def withdraw_it(story: Story) -> None:
    story.raised[0] = story.raised[0]._replace(withdrawn=True)


def tell_nobody(story: Story) -> None:
    story.raised[0] = story.raised[0]._replace(unannounced=1)


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (drop_a_row, {"lost", "receipted_unstored"}),
        (drop_an_event, {"lost", "receipted_unstored"}),
        (repeat_a_row, {"stored_twice", "altered"}),
        (invent_a_row, {"never_measured"}),
        (invent_a_pump, {"never_measured"}),
        (alter_a_value, {"altered"}),
        (alter_a_time, {"altered"}),
        (never_send_the_last_receipt, {"not_receipted"}),
        (let_go_of_a_reading, {"let_go"}),
        (raise_nothing, {"due_missing", "other_than_oracle"}),
        (raise_it_twice, {"due_twice", "other_than_oracle"}),
        (raise_it_on_a_healthy_pump, {"false_alerts", "other_than_oracle"}),
        (raise_another_condition, {"false_alerts", "other_than_oracle"}),
        (raise_it_at_another_reading, {"other_than_oracle"}),
        (begin_it_twice, {"other_than_oracle"}),
        (end_it, {"other_than_oracle"}),
        (withdraw_it, {"due_missing", "other_than_oracle"}),
        (tell_nobody, {"unannounced"}),
    ],
)
def test_each_way_to_be_wrong_is_named(spoil: Callable[[Story], None], kinds: set[str]) -> None:
    story = Story()
    spoil(story)
    verdict = story.verdict()
    assert {kind for kind, found in verdict._asdict().items() if found} == kinds
    assert len(verdict.problems) == len(kinds)


def test_what_is_due_only_after_the_end_may_be_missing() -> None:
    story = Story()
    story.labels = [msgspec.structs.replace(story.labels[0], due_ms=END_MS + 1)]
    story.raised, story.oracle = [], []
    assert story.verdict().problems == []


def test_an_episode_that_was_over_before_its_gap_closed_need_only_be_the_same_episode() -> None:
    story = Story()
    story.oracle = [Finding("p1", "stall", AT[3], 2000, 3000)]
    story.raised = [story.raised[0]._replace(onsets=(AT[4],), began_ms=2500, ended_ms=3500, behind_a_gap=True)]
    assert story.verdict().problems == []
    story.raised *= 2
    assert story.verdict().other_than_oracle, "once"
    story.raised = [story.raised[0]._replace(began_ms=3100)]
    assert story.verdict().other_than_oracle, "another one"
    story.raised = [story.raised[0]._replace(began_ms=2500, behind_a_gap=False)]
    assert story.verdict().other_than_oracle, "nothing was missing"


def test_a_receipt_is_held_against_what_was_stored_when_it_was_seen() -> None:
    said = Story().said()
    assert uncovered(said, {"p1": 3, "p2": 2}) == ["p1: 4 receipted, 3 stored"]
    assert uncovered(said, {"p1": 4}) == ["p2: 2 receipted, 0 stored"]


def test_a_journal_is_read_as_it_grows_and_never_half_a_line(tmp_path: Path) -> None:
    journal = tmp_path / "journal.ndjson"
    said = Said(journal)
    assert said.read_on().measured == {}, "the fleet has not begun"
    written = b"".join(msgspec.json.encode(line) + b"\n" for line in Story().lines)
    for end in range(0, len(written) + 1, 7):
        journal.write_bytes(written[:end])
        said.read_on()
    journal.write_bytes(written)
    said.read_on()
    assert (said.measured, said.receipted) == (Story().said().measured, {"p1": AT[3], "p2": AT[1]})
    assert len(said.messages) == 4
