"""Payloads of any lengths become rows without a value changing its place."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.columns import Columns
from service.core.payload import Telemetry, UnreadableError
from service.core.reading import MAX_SEQ, SEQ_BITS, Items
from service.core.rejection import Reason
from tests.core.messages import readings

TAKEN_OVER = {
    "device_ms": "time_ms",
    "program_ml_d": "program_ml_d",
    "flow_ml_d": "flow_ml_d",
    "reservoir_ml": "reservoir_ml",
    "battery_v": "battery_v",
}


def payload(count: int, **changed: object) -> Telemetry:
    return msgspec.convert(readings(count, **changed), Telemetry)


def numbered(count: int, begin: int) -> Telemetry:
    """A payload in which no two values are alike."""
    lists = {
        name: [begin + 1000.0 * at + number for number in range(count)] for at, name in enumerate(TAKEN_OVER.values())
    }
    lists["time_ms"] = [int(value) for value in lists["time_ms"]]
    return payload(count, seq=begin, held_from=[3, begin], simulated=bool(begin % 2), **lists)


@given(st.lists(st.sampled_from([1, 1, 1, 2, 3, 60]), max_size=12))
def test_every_value_arrives_at_its_own_position(lengths: list[int]) -> None:
    columns = Columns()
    said = [numbered(length, begin=100 * message) for message, length in enumerate(lengths)]
    for message, one in enumerate(said):
        columns.add(message, pump=message % 3, said=one)
    of_message: dict[int, tuple[Items, np.void]] = {}
    for rows, heads in columns.unpacked():
        assert np.all(np.diff(heads["message"]) > 0)
        for head in heads:
            of_message[int(head["message"])] = rows[rows["message"] == head["message"]], head
    assert sorted(of_message) == list(range(len(lengths)))
    for message, one in enumerate(said):
        rows, head = of_message[message]
        assert rows["position"].tolist() == [(one.boot << SEQ_BITS) + one.seq + at for at in range(lengths[message])]
        assert set(rows["pump"].tolist()) == {message % 3}
        for column, key in TAKEN_OVER.items():
            assert rows[column].tolist() == getattr(one, key)
        assert (head["held_boot"], head["held_seq"], head["simulated"]) == (*one.held_from, one.simulated)
        assert not head["says_delivered"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", [*TAKEN_OVER.values(), "mode", "delivered_ul"])
def test_a_column_that_is_shorter_or_longer_is_refused(name: str, count: int) -> None:
    whole = readings(count) | {"delivered_ul": [1.0] * count}
    for column in ([], whole[name][1:], whole[name] * 2):
        with pytest.raises(UnreadableError) as refused:
            Columns().add(0, 0, payload(count, **(whole | {name: column})))
        assert refused.value.reason is Reason.UNEQUAL_COLUMNS


@pytest.mark.parametrize("count", [1, 2, 60])
def test_the_last_reading_may_have_the_last_sequence_number(count: int) -> None:
    columns = Columns()
    columns.add(0, 0, payload(count, seq=MAX_SEQ - count + 1))
    [(rows, _)] = columns.unpacked()
    assert rows["position"][-1] & MAX_SEQ == MAX_SEQ
    if count > 1:
        with pytest.raises(UnreadableError, match="end after"):
            columns.add(0, 0, payload(count, seq=MAX_SEQ - count + 2))
