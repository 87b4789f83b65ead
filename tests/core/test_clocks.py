"""What time was it, by a clock that may be wrong?"""

import numpy as np

from service.core.clocks import FARTHEST_BACK_MS, Clocks, Offset, map_to_ours
from service.core.reading import EventType, Items, position_of
from tests.pumps import MINUTE_MS, NOON_MS, event, readings


def mapped(items: Items, offset_ms: int = 0, before: int = position_of(1, 0) - 1, newest_ms: int = 0) -> list[Offset]:
    rows = np.zeros(len(items), np.intp)
    clocks = Clocks(np.array([offset_ms]), np.array([before]), np.array([newest_ms]))
    return map_to_ours(items, rows, np.zeros(1, np.intp), clocks)


def test_a_clock_that_is_right_is_believed_and_so_is_an_old_reading() -> None:
    items = readings(60)
    items["received_ms"] += 86_400_000
    assert mapped(items) == []
    assert (items["measured_ms"] == items["device_ms"]).all()


def test_a_pump_in_1970_is_watched_as_of_now() -> None:
    items = readings(3, first_seq=5, start_ms=1_000)
    items["received_ms"] = NOON_MS
    (offset,) = mapped(items)
    assert offset.from_position == position_of(1, 5)
    assert items["measured_ms"].tolist() == [NOON_MS - 2 * MINUTE_MS, NOON_MS - MINUTE_MS, NOON_MS]


def test_a_clock_ahead_of_ours_is_corrected_and_stays_so_for_the_boot() -> None:
    items = readings(1, first_seq=5, start_ms=NOON_MS + 7_200_000)
    items["received_ms"] = NOON_MS
    (offset,) = mapped(items)
    assert offset.offset_ms == -7_200_000
    following = readings(1, first_seq=6, start_ms=NOON_MS + 7_200_000 + MINUTE_MS)
    following["received_ms"] = NOON_MS + 3 * MINUTE_MS  # slower on its way: the offset does not move with it
    assert mapped(following, offset_ms=offset.offset_ms, before=position_of(1, 5)) == []
    assert following["measured_ms"][0] == NOON_MS + MINUTE_MS


def test_a_new_boot_and_a_set_clock_begin_without_an_offset() -> None:
    rebooted = readings(1, boot=2)
    assert mapped(rebooted, offset_ms=-7_200_000) == [Offset(0, position_of(2, 0), 0)]
    assert rebooted["measured_ms"][0] == NOON_MS
    corrected = np.concatenate([event(EventType.CLOCK_SET, seq=6, value=0.0), readings(1, first_seq=7)])
    assert mapped(corrected, offset_ms=-7_200_000) == [Offset(0, position_of(1, 6), 0)]


def test_only_the_pump_whose_clock_is_off_is_corrected() -> None:
    items = np.concatenate([readings(1), readings(1, start_ms=0, pump=1), readings(1, pump=2)])
    items["received_ms"] = NOON_MS
    clocks = Clocks(np.zeros(3, np.int64), np.full(3, position_of(1, 0) - 1, np.int64), np.zeros(3, np.int64))
    offsets = map_to_ours(items, np.arange(3), np.arange(3), clocks)
    assert [offset.row for offset in offsets] == [1]
    assert (items["measured_ms"] == NOON_MS).all()


def test_one_wild_time_does_not_date_what_follows_it() -> None:
    wild = readings(1, first_seq=1, start_ms=253_402_300_799_999)
    wild["received_ms"] = NOON_MS
    (offset,) = mapped(wild)
    assert wild["measured_ms"][0] == NOON_MS
    sane = readings(1, first_seq=2)
    assert mapped(sane, offset_ms=offset.offset_ms, before=position_of(1, 1)) == [Offset(0, position_of(1, 2), 0)]
    assert sane["measured_ms"][0] == NOON_MS


def test_nothing_is_dated_more_than_a_day_before_what_its_pump_said_already() -> None:
    items = readings(2, first_seq=5, start_ms=NOON_MS - 3 * FARTHEST_BACK_MS)
    items["received_ms"] = NOON_MS
    (offset,) = mapped(items, newest_ms=NOON_MS - 2 * MINUTE_MS, before=position_of(1, 4))
    assert offset.from_position == position_of(1, 5)
    assert items["measured_ms"].tolist() == [NOON_MS - MINUTE_MS, NOON_MS]


def test_what_comes_again_or_late_changes_no_offset() -> None:
    again = readings(1, first_seq=3, boot=1, start_ms=5_000)
    again["received_ms"] = NOON_MS
    assert mapped(again, offset_ms=-7_200_000, before=position_of(2, 9)) == []


def test_while_the_first_of_a_boot_is_missing_its_clock_is_not_asked_again_at_every_message() -> None:
    since_1970_ms = NOON_MS - MINUTE_MS
    before = np.array([position_of(1, 9)])
    clocks = Clocks(np.array([since_1970_ms]), before, np.zeros(1, np.int64), {0: [(position_of(2, 1), since_1970_ms)]})
    late_on_its_way = readings(1, boot=2, first_seq=2, start_ms=2 * MINUTE_MS)
    late_on_its_way["received_ms"] = NOON_MS + 5 * MINUTE_MS
    first_of_all = readings(1, boot=2, first_seq=0, start_ms=0)
    first_of_all["received_ms"] = NOON_MS + 6 * MINUTE_MS
    for items, minute in ((late_on_its_way, 1), (first_of_all, -1)):
        assert map_to_ours(items, np.zeros(1, np.intp), np.zeros(1, np.intp), clocks) == []
        assert items["measured_ms"][0] == NOON_MS + minute * MINUTE_MS


def test_what_an_earlier_boot_still_had_to_say_leaves_the_clock_of_the_newest_in_force() -> None:
    since_1970_ms = NOON_MS - MINUTE_MS
    before = np.array([position_of(1, 9)])
    clocks = Clocks(np.array([since_1970_ms]), before, np.zeros(1, np.int64), {0: [(position_of(2, 1), since_1970_ms)]})
    items = np.concatenate([readings(1, first_seq=10), readings(1, boot=2, first_seq=2, start_ms=2 * MINUTE_MS)])
    items["received_ms"] = NOON_MS + 2 * MINUTE_MS
    assert map_to_ours(items, np.zeros(2, np.intp), np.zeros(1, np.intp), clocks) == [Offset(0, position_of(1, 10), 0)]
    assert items["measured_ms"].tolist() == [NOON_MS, NOON_MS + MINUTE_MS]
