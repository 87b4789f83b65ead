"""What several commands take."""

from datetime import UTC, datetime

import pytest

from service.commands.arguments import instant


def test_a_time_has_its_zone() -> None:
    assert instant("2026-11-22T20:00:00Z") == datetime(2026, 11, 22, 20, tzinfo=UTC)
    for text in ("2026-11-22T20:00:00", "tomorrow", "20:00"):
        with pytest.raises(ValueError, match=text):
            instant(text)
