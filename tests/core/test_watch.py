"""What is decided outside the fold, over a stream: each turn once, at the moment at which it was due."""

import numpy as np
import pytest

from service.core.change import Change, Condition, Turn
from service.core.reading import DrugClass
from service.core.rulebook import DEFAULT_RULEBOOK, PumpFacts, Rulebook, parse_rulebook
from service.core.watch import Watch

FACTS = PumpFacts(DrugClass.BACLOFEN, flow_sensor=True, reservoir_sensor=True, capacity_ml=20.0, interval_s=60.0)
MINUTE, HOUR = 60_000, 3_600_000
START = 1_795_348_800_000


def a_watch(pumps: int = 1, site: str = "") -> Watch:
    watch = Watch(DEFAULT_RULEBOOK)
    watch.enter([(key, FACTS._replace(site=site)) for key in range(1, pumps + 1)], START)
    return watch


def heard(watch: Watch, at_ms: float, *keys: int, position: int = 1) -> None:
    watch.heard(keys, np.full(len(keys), int(at_ms)), np.full(len(keys), position))


def told(changes: list[Change]) -> list[tuple[str, str, float]]:
    """Condition, turn and when it was due, in minutes from the start."""
    return [(str(each.condition), str(each.turn), round((each.at_ms - START) / MINUTE, 2)) for each in changes]


def test_silence_gets_more_urgent_and_ends_and_each_turn_has_the_moment_at_which_it_was_due() -> None:
    watch = a_watch()
    heard(watch, START + MINUTE, 1)
    assert watch.watch_until(START + 4 * MINUTE) == []
    assert told(watch.watch_until(START + 26 * HOUR)) == [
        ("silence", "began", 4.0),
        ("silence", "rose", 721.0),
        ("silence", "rose", 1441.0),
    ]
    heard(watch, START + 27 * HOUR, 1)
    assert told(watch.watch_until(START + 27 * HOUR + 1)) == [("silence", "ended", 1620.0)]


def test_a_message_of_the_very_millisecond_of_the_limit_is_in_time() -> None:
    watch = a_watch()
    limit = START + 3 * MINUTE
    assert watch.watch_until(limit) == []
    heard(watch, limit, 1)
    assert watch.watch_until(limit + 3 * MINUTE) == []
    assert told(watch.watch_until(limit + 3 * MINUTE + 1)) == [("silence", "began", 6.0)]


def test_a_pump_that_trembles_on_its_limit_is_told_of_at_most_twice_in_ten_minutes() -> None:
    watch, changes = a_watch(), []
    for at in np.arange(START, START + 6 * HOUR, 181_000):
        changes += watch.watch_until(int(at))
        heard(watch, at, 1)
    times = np.array([each.at_ms for each in changes])
    assert len(times) > 10
    assert all(((times >= at) & (times < at + 10 * MINUTE)).sum() <= 2 for at in times)


def test_a_site_that_falls_silent_is_one_alert_and_its_pumps_are_inhibited_until_it_is_back() -> None:
    watch = a_watch(50, "north")
    for key in range(1, 51):
        heard(watch, START + key * 1_000, key)
    changes = [change for at in range(0, 10 * MINUTE, 1000) for change in watch.watch_until(START + at)]
    sites = [each for each in changes if each.condition is Condition.SITE_SILENCE]
    pumps = [each for each in changes if each.condition is Condition.SILENCE]
    assert [(each.turn, each.subject) for each in sites] == [(Turn.BEGAN, "site:north")]
    assert len(pumps) == 50
    assert {each.inhibited_by for each in pumps} != {None}
    assert len({each.inhibited_by for each in pumps}) == 1
    heard(watch, START + HOUR, *range(1, 41))
    back = watch.watch_until(START + HOUR + 1)
    assert ("site_silence", "ended", 60.0) in told(back)
    assert sum(each.condition is Condition.SILENCE for each in back) == 40


def test_pumps_that_fall_silent_at_different_times_are_no_site() -> None:
    watch, changes = a_watch(50, "north"), []
    for minute in range(600):
        changes += watch.watch_until(START + minute * MINUTE)
        heard(watch, START + minute * MINUTE, *range(1 + minute // 10, 51))
    assert {each.condition for each in changes} == {Condition.SILENCE}
    assert {each.inhibited_by for each in changes} == {None}


def test_silence_with_a_standing_motor_is_a_lock_until_the_pump_is_heard() -> None:
    watch = a_watch()
    heard(watch, START, 1)
    watch.stalled(1, stalled=True)
    found = told(watch.watch_until(START + 3 * HOUR))
    assert found == [("silence", "began", 3.0), ("telemetry_lock", "began", 120.0)]
    heard(watch, START + 3 * HOUR, 1)
    assert ("telemetry_lock", "ended", 180.0) in told(watch.watch_until(START + 3 * HOUR + 1))


@pytest.mark.parametrize("lost", [9, 10])
def test_readings_lost_for_good_are_one_alert_that_ends_after_a_day_without(lost: int) -> None:
    watch = a_watch()
    watch.lost(1, lost, START, 7)
    changes: list[Change] = []
    for hour in range(60):
        changes += watch.watch_until(START + hour * HOUR)
        heard(watch, START + hour * HOUR, 1)
        if lost >= 10 and hour < 20:
            watch.lost(1, 1, START + hour * HOUR, 7 + hour)
    gaps = [each for each in told(changes) if each[0] == "sequence_gap"]
    assert [turn for _, turn, _ in gaps] == (["began", "ended"] if lost >= 10 else [])


def test_a_clock_that_is_off_is_told_of_once_until_it_is_right() -> None:
    watch = a_watch()
    for minute, offset_ms in enumerate((5 * HOUR, 6 * HOUR, 0, 0)):
        watch.clock(1, offset_ms, START + minute * MINUTE, minute)
    assert told(watch.watch_until(START)) == [("clock_off", "began", 0.0), ("clock_off", "ended", 2.0)]


def test_a_site_may_have_limits_of_its_own_for_the_silence_of_its_pumps() -> None:
    own = 'at_least_s = { value = 3600, reason = "a tunnel", author = "jd", expires = 2030-01-01 }'
    rulebook = parse_rulebook(f"[site.ward.silence]\n{own}")
    assert isinstance(rulebook, Rulebook)
    watch = Watch(rulebook)
    watch.enter([(1, FACTS._replace(site="ward")), (2, FACTS)], START)
    began = [(turn.pump, (turn.at_ms - START) // MINUTE) for turn in watch.watch_until(START + 2 * HOUR)]
    assert began == [(2, 3), (1, 60)]


def test_a_pump_may_have_limits_of_its_own_for_its_silence_its_lock_and_its_losses() -> None:
    why = 'reason = "on trial", author = "jd", expires = 2030-01-01'
    rulebook = parse_rulebook(
        f"[pump.own.silence]\nat_least_s = {{ value = 3600, {why} }}\n"
        f"[pump.own.telemetry_lock]\nafter_s = {{ value = 600, {why} }}\n"
        f"[pump.own.sequence_gap]\nreadings = {{ value = 3, {why} }}\n"
    )
    assert isinstance(rulebook, Rulebook)
    watch = Watch(rulebook)
    watch.enter([(1, FACTS), (2, FACTS)], START, {1: "own", 2: "other"})
    for key in (1, 2):
        watch.stalled(key, stalled=True)
        watch.lost(key, 5, START, 7)
    began = {(turn.pump, str(turn.condition)): turn.at_ms - START for turn in watch.watch_until(START + 90 * MINUTE)}
    assert began == {
        (1, "sequence_gap"): 90 * MINUTE,
        (1, "telemetry_lock"): 10 * MINUTE + 1,
        (1, "silence"): 60 * MINUTE + 1,
        (2, "silence"): 3 * MINUTE + 1,
    }
