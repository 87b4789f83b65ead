"""Who repeats itself, and what of it is left unread? Never what is new, and never for long."""

from service.core.repeats import (
    A_SECOND,
    AT_ONCE,
    KNOWN_OF_A_PUMP,
    LOOKED_AT_AGAIN_MS,
    MOST_PUMPS,
    READINGS_LIKE_A_MESSAGE,
    SAMPLED_EVERY_MS,
    Idle,
    Repeats,
    print_of,
)

TOPIC = b"pumps/v1/p1/telemetry"
MARK = print_of(TOPIC, b"same")


def idle(count: int, at_ms: int = 0, *, pump_id: bytes = b"p1", readings: int = 0, mark: int = MARK) -> list[Idle]:
    return [Idle(pump_id, mark, readings, at_ms)] * count


def limited(count: int = int(AT_ONCE) + 1, at_ms: int = 0) -> Repeats:
    repeats = Repeats()
    repeats.note(idle(count, at_ms))
    return repeats


def test_a_pump_is_limited_once_it_has_brought_nothing_new_too_often_and_the_others_are_not() -> None:
    repeats = limited(int(AT_ONCE) - 1)
    assert not repeats.limited
    repeats.note([*idle(1), *idle(1, pump_id=b"p2")])
    assert set(repeats.limited) == {b"p1"}


def test_long_messages_without_news_count_for_more() -> None:
    repeats = Repeats()
    repeats.note(idle(int(AT_ONCE) // 11 + 1, readings=10 * READINGS_LIKE_A_MESSAGE))
    assert repeats.limited


def test_who_repeats_no_more_than_it_may_is_never_limited() -> None:
    repeats = Repeats()
    for second in range(3_600):
        repeats.note(idle(int(A_SECOND), second * 1000))
    assert not repeats.limited


def test_what_was_read_and_brought_nothing_is_known_by_its_topic_and_every_byte_for_a_minute() -> None:
    pump = limited().limited[b"p1"]
    assert pump.has(TOPIC, b"same", 1)
    assert not pump.has(TOPIC, b"other", 1)
    assert not pump.has(b"pumps/v1/p1/event", b"same", 1)
    assert not pump.has(TOPIC, b"same", LOOKED_AT_AGAIN_MS + 1), "what it brings may be another thing by now"


def test_what_was_not_read_or_may_be_taken_later_is_not_known() -> None:
    repeats = limited()
    other = print_of(TOPIC, b"other")
    repeats.note([Idle(b"p1", None, 0, 0)])
    assert not repeats.limited[b"p1"].has(TOPIC, b"other", 1)
    repeats.note(idle(1, mark=other))
    assert repeats.limited[b"p1"].has(TOPIC, b"other", 1)


def test_a_pump_that_has_stopped_is_as_any_other_after_some_minutes() -> None:
    repeats = limited()
    enough_ms = int(AT_ONCE / A_SECOND * 1000)
    repeats.forget(enough_ms - 1_000)
    assert repeats.limited
    repeats.forget(enough_ms)
    assert not repeats.limited


def test_it_is_told_once_of_each_message_beyond_what_is_allowed() -> None:
    repeats = limited(int(AT_ONCE) + 9, at_ms=7)
    assert repeats.told() == [("p1", 7, 7, 10, 0)]
    assert repeats.told() == []
    repeats.note([*idle(3, 2_000), Idle(b"p1", None, 0, 2_000, unread=True)])
    assert repeats.told() == [("p1", 7, 2_000, 4, 1)]


def test_one_message_an_hour_is_a_sample() -> None:
    repeats = limited()
    asked_at = (1, 2, SAMPLED_EVERY_MS, SAMPLED_EVERY_MS + 1)
    assert [repeats.is_sample(b"p1", at_ms) for at_ms in asked_at] == [True, False, False, True]


def test_what_is_remembered_is_bounded() -> None:
    repeats = limited()
    repeats.note([Idle(b"p1", number, 0, 0) for number in range(2 * KNOWN_OF_A_PUMP)])
    assert len(repeats.limited[b"p1"].known) == KNOWN_OF_A_PUMP
    repeats.note([Idle(b"p%d" % number, MARK, 0, 0) for number in range(2 * MOST_PUMPS)])
    assert len(repeats._seen) <= MOST_PUMPS
    assert b"p1" in repeats._seen, "of those that are limited nothing is forgotten"
