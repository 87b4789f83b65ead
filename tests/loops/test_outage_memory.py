"""Whoever watches is started again in the middle of an outage: those who are told of it hear of one, not of two."""

from datetime import timedelta
from pathlib import Path

from service.core.outage import REMEMBERED_FOR, Outage, Remembered
from service.loops.outage_memory import NAME, OutageMemory
from tests.core.test_outage import at

AFTER = timedelta(seconds=20)


def test_an_outage_keeps_its_name_over_a_restart_and_is_forgotten_when_it_is_over(tmp_path: Path) -> None:
    before, outage = OutageMemory(tmp_path), Outage(AFTER)
    for s in (0, 10, 30):
        outage.failed("connection refused", at(s))
        before.keep(outage.remembered)
    named = outage.broken(at(30))
    assert named is not None

    memory, again = OutageMemory(tmp_path), Outage(AFTER)
    remembered = memory.recall()
    assert remembered == Remembered(at(0), at(30))
    again.go_on(remembered, at(40))
    again.failed("connection refused", at(41))
    found = again.broken(at(41))
    assert found is not None
    assert (found.subject, found.since) == (named.subject, named.since), "told at once, and as the same"
    for s in (50, 120):
        again.answered(at(s))
        memory.keep(again.remembered)
    assert memory.recall() is None


def test_what_was_remembered_long_ago_is_another_outage(tmp_path: Path) -> None:
    outage = Outage(AFTER)
    outage.go_on(Remembered(at(0), at(30)), at(30) + REMEMBERED_FOR)
    outage.failed("connection refused", at(1_000))
    assert outage.remembered == Remembered(at(1_000), at(1_000))


def test_a_file_that_cannot_be_read_or_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{")
    assert OutageMemory(tmp_path).recall() is None
    nowhere = OutageMemory(tmp_path / "missing")
    nowhere.keep(Remembered(at(0), at(1)))
    nowhere.keep(None)
    assert nowhere.recall() is None
