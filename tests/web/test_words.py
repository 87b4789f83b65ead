"""How values are said to people."""

from datetime import UTC, datetime, timedelta

from service.web.words import ago, condition, days, dose

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)


def test_times_are_words_and_never_is_said() -> None:
    assert ago(None, NOW) == "never"
    assert ago(NOW - timedelta(seconds=2), NOW) == "just now"
    assert ago(NOW - timedelta(seconds=20), NOW) == "20 s ago"
    assert ago(NOW - timedelta(hours=5), NOW) == "5 h ago"
    assert ago(NOW - timedelta(days=3), NOW) == "3 days ago"


def test_a_dose_stands_beside_its_volume_where_the_concentration_is_known() -> None:
    assert dose(0.5, 500) == "0.500 mL/d = 250 µg/d"
    assert dose(0.5, 20_000) == "0.500 mL/d = 10.00 mg/d"
    assert dose(0.5, None) == "0.500 mL/d"
    assert dose(None, 500) == "unknown"


def test_what_is_not_known_is_said_so() -> None:
    assert days(None) == "unknown"
    assert days(3.63) == "3.6 d"
    assert condition("under_delivery") == "Under delivery"
