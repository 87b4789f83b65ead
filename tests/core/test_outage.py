"""Since when the database does not answer, and when that is over."""

from datetime import UTC, datetime, timedelta

from service.core.outage import Outage
from service.core.way import Broken

START = datetime(2026, 11, 22, 19, 0, tzinfo=UTC)


def at(s: float) -> datetime:
    return START + timedelta(seconds=s)


def an_outage(*, failed_s: tuple[float, ...], answered_s: tuple[float, ...] = ()) -> Outage:
    outage = Outage(timedelta(seconds=20))
    for s in sorted({*failed_s, *answered_s}):
        (outage.failed("connection refused", at(s)) if s in failed_s else outage.answered(at(s)))
    return outage


def test_a_database_that_is_away_for_a_moment_is_no_outage() -> None:
    outage = an_outage(failed_s=(0, 19), answered_s=(20,))
    assert outage.broken(at(20)) is outage.recorded(at(20)) is None
    outage = an_outage(failed_s=(0, 19, 21), answered_s=(20,))
    assert outage.broken(at(21)) is None, "the one moment and the other are two"


def test_it_counts_from_the_first_failure_and_is_over_once_it_has_answered_for_a_while() -> None:
    outage = an_outage(failed_s=(0, 10, 20))
    found = outage.broken(at(20))
    assert isinstance(found, Broken)
    assert (found.since, found.evidence, outage.lasted_s(at(20))) == (at(0), {"reason": "connection refused"}, 20.0)
    outage.answered(at(100))
    assert outage.lasted_s(at(100)) == 0
    assert outage.broken(at(119)) is not None
    assert outage.broken(at(120)) is None


def test_one_that_comes_back_before_it_is_over_is_the_same() -> None:
    outage = an_outage(failed_s=(0, 20, 35), answered_s=(30,))
    found = outage.broken(at(35))
    assert found is not None
    assert found.since == at(0)
    outage = an_outage(failed_s=(0, 20, 60), answered_s=(30,))
    assert outage.broken(at(60)) is None


def test_what_others_can_write_to_is_recorded_before_it_is_over() -> None:
    outage = an_outage(failed_s=(0, 20, 22, 24, 26, 28, 30))
    assert outage.recorded(at(20)) is None, "it may be back"
    assert outage.recorded(at(29)) is None
    found = outage.recorded(at(30))
    assert found is not None
    assert "until_ms" not in found.evidence


def test_what_is_over_is_recorded_with_its_end_for_a_minute() -> None:
    outage = an_outage(failed_s=(0, 20), answered_s=(30,))
    found = outage.recorded(at(80))
    assert found is not None
    assert found.evidence["until_ms"] == int(at(30).timestamp() * 1000)
    assert outage.recorded(at(90)) is None
    outage.answered(at(90))
    assert outage.recorded(at(91)) is None
