"""On call: the same local time all year, one person at a time, also in the nights when the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.core.rota import Rota, StandIn, instant, next_hand_over, on_call, rota_problems

ZONES = {"Europe/Oslo": ZoneInfo("Europe/Oslo")}
OSLO = ZONES["Europe/Oslo"]
ROTA = Rota(name="night", time_zone="Europe/Oslo", contacts=("ada", "bo", "cy"), begins_on=date(2026, 10, 19))


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=OSLO)


def test_turns_are_taken_week_by_week_at_the_local_hour() -> None:
    assert on_call(ROTA, ZONES, local(2026, 10, 19, 8)) == "ada"
    assert on_call(ROTA, ZONES, local(2026, 10, 26, 7, 59)) == "ada"
    assert on_call(ROTA, ZONES, local(2026, 10, 26, 8)) == "bo"  # a week of 169 hours
    assert on_call(ROTA, ZONES, local(2026, 11, 9, 8)) == "ada"
    assert on_call(ROTA, ZONES, local(2020, 1, 1)) == "ada"


def test_a_local_time_that_comes_twice_hands_over_once() -> None:
    daily = Rota(
        name="daily",
        time_zone="Europe/Oslo",
        contacts=("ada", "bo"),
        begins_on=date(2026, 10, 24),
        hand_over_at=time(2, 30),
        every_days=1,
    )
    first = instant(date(2026, 10, 25), time(2, 30), OSLO)
    names = [on_call(daily, ZONES, first + timedelta(minutes=minutes)) for minutes in range(-60, 180)]
    assert names == ["ada"] * 60 + ["bo"] * 180


def test_a_local_time_that_is_left_out_hands_over_when_the_clocks_have_moved() -> None:
    daily = Rota(
        name="daily",
        time_zone="Europe/Oslo",
        contacts=("ada", "bo"),
        begins_on=date(2027, 3, 27),
        hand_over_at=time(2, 30),
        every_days=1,
    )
    assert on_call(daily, ZONES, datetime(2027, 3, 28, 1, 29, tzinfo=UTC)) == "ada"
    assert on_call(daily, ZONES, datetime(2027, 3, 28, 1, 31, tzinfo=UTC)) == "bo"


def test_a_stand_in_goes_before_the_rota_and_the_newest_before_the_others() -> None:
    from_at, until = local(2026, 10, 20, 12), local(2026, 10, 21, 12)
    rota = Rota(
        name="night",
        time_zone="Europe/Oslo",
        contacts=("ada", "bo"),
        begins_on=date(2026, 10, 19),
        stand_ins=(
            StandIn(contact="cy", from_at=from_at, until=until),
            StandIn(contact="di", from_at=from_at + timedelta(hours=1), until=until),
        ),
    )
    assert [on_call(rota, ZONES, from_at + timedelta(hours=hours)) for hours in (-1, 0, 1, 24)] == [
        *("ada", "cy", "di", "ada")
    ]


@pytest.mark.parametrize("hours", range(0, 24 * 30, 7))
def test_nobody_else_is_on_call_before_the_next_hand_over(hours: int) -> None:
    at = local(2026, 10, 15, 3) + timedelta(hours=hours)
    until = next_hand_over(ROTA, ZONES, at)
    assert until > at
    assert on_call(ROTA, ZONES, until - timedelta(seconds=1)) == on_call(ROTA, ZONES, at)
    if at >= local(2026, 10, 19, 8):
        assert on_call(ROTA, ZONES, until) != on_call(ROTA, ZONES, at)


def test_mistakes_are_named_with_their_field() -> None:
    rota = Rota(
        name="x",
        time_zone="Europe/Nowhere",
        contacts=("ada", "zoe"),
        begins_on=date(2026, 1, 1),
        stand_ins=(StandIn(contact="ada", from_at=local(2026, 2, 2), until=local(2026, 2, 1)),),
    )
    assert [field for field, _ in rota_problems(rota, {"ada": 1}, ZONES)] == ["time_zone", "contacts", "stand_ins"]
    assert rota_problems(ROTA, {"ada": 1, "bo": 1, "cy": 1}, ZONES) == []
