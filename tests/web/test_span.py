"""Which span an address asks for."""

from datetime import UTC, date, datetime, timedelta

from service.web.span import USUAL, Span, span_of

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


def test_a_usual_span_ends_now() -> None:
    chosen = span_of("7d", "", "", NOW)
    assert chosen.ends(NOW) == (NOW - timedelta(days=7), NOW)
    assert chosen.query() == "span=7d"
    assert chosen.up_to_now


def test_days_are_whole_and_end_now_at_the_latest() -> None:
    chosen = span_of("", "2026-11-20", "2026-11-21", NOW)
    assert chosen.ends(NOW) == (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
    assert chosen.query() == "from=2026-11-20&to=2026-11-21"
    assert span_of("", "2026-11-20", "2026-12-31", NOW).ends(NOW)[1] == NOW
    assert span_of("", "2026-11-20", "", NOW) == Span("", date(2026, 11, 20), date(2026, 11, 20))


def test_what_cannot_be_shown_becomes_the_usual_span() -> None:
    backwards, ahead, endless = ("2026-11-20", "2026-11-19"), ("2027-01-01", ""), ("1900-01-01", "2026-11-20")
    for first, last in (backwards, ahead, endless):
        assert span_of("", first, last, NOW) == Span(USUAL)
    for nonsense in ("", "x", "2026-02-30"):
        assert span_of("nonsense", nonsense, "", NOW) == Span(USUAL)
