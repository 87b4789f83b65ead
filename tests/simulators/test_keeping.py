"""A pump's clock may be off and its memory damaged; a message ends where that begins or ends."""

import pytest

from simulators.faults import HOUR_MS, Fault, Kind
from simulators.fleet import fleet_of
from simulators.keeping import Keeping
from simulators.wire import Encoding, Event, close, event_body

PUMP = fleet_of(7, 1)[0]


def keeping(*faults: Fault) -> Keeping:
    made = Keeping(PUMP)
    for fault in faults:
        made.add(fault)
    return made


@pytest.mark.parametrize(("hours", "shown"), [(2.0, 12), (-24.0, 0), (-490_000.0, 0)])
def test_a_clock_that_jumps_shows_another_time_and_never_one_before_its_beginning(hours: float, shown: int) -> None:
    jumped = keeping(Fault(0, Kind.CLOCK_JUMP, 5 * HOUR_MS, None, hours))

    assert jumped.clock_ms(5 * HOUR_MS - 1) == 5 * HOUR_MS - 1
    assert jumped.clock_ms(10 * HOUR_MS) == shown * HOUR_MS


def test_a_clock_that_drifts_is_four_seconds_off_after_a_day() -> None:
    assert keeping(Fault(0, Kind.CLOCK_DRIFT, 0, None, 50.0)).clock_ms(24 * HOUR_MS) == 24 * HOUR_MS + 4320


def test_a_message_ends_before_an_event_and_where_what_is_lost_begins_and_ends() -> None:
    kept = keeping(Fault(0, Kind.LOST, 250, 550))
    event = Event(400, "mri_began", {})

    breaks = kept.breaks([100, 200, 300, 400, 500, 600], [(4, event)])

    assert breaks == [(2, None), (4, event), (5, None)]
    assert [kept.is_lost(at) for at in (200, 300, 500, 600)] == [False, True, True, False]


@pytest.mark.parametrize("encoding", Encoding)
def test_a_damaged_message_lacks_the_key_that_says_what_it_is(encoding: Encoding) -> None:
    body = event_body(1, 2, Event(100, "mri_began", {}), encoding)
    damaged = keeping(Fault(0, Kind.CORRUPTED, 0, 200))

    assert b"type" not in close(damaged.body(body, 100), (1, 2))
    assert damaged.body(body, 300) == body
