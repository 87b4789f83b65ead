"""What is left of long messages: in front of what comes next, and no reason for other pumps to wait."""

import msgspec
import numpy as np

from service.core.decode import decode
from service.loops.carried import MOST_OF_A_PUMP, Carried
from service.ports import RawMessage, Token
from tests.loops.driven import telemetry


def a_message(number: int, readings: int) -> RawMessage:
    payload = msgspec.json.encode(telemetry(0, [1.0] * readings))
    return RawMessage(Token(1, number), b"pumps/v1/p1/telemetry", payload, 1_795_400_000_000)


def test_what_was_kept_comes_before_what_is_new_with_all_that_belongs_to_its_message() -> None:
    first = [a_message(1, 1), a_message(2, 100)]
    decoded = decode(first, {b"p1": 0})
    carried = Carried()
    carried.keep(first, decoded, decoded.items[51:])
    assert [message.token.packet_id for message in carried.messages] == [2]
    again = decode([a_message(3, 1)], {b"p1": 0})
    messages = carried.put_before([a_message(3, 1)], again)
    assert [message.token.packet_id for message in messages] == [2, 3]
    assert again.ends_ms.tolist() == [decoded.ends_ms[1], decoded.ends_ms[0]]
    assert np.unique(again.items["message"]).tolist() == [0, 1]


def test_one_pump_counts_for_its_share_however_much_it_has_sent() -> None:
    carried = Carried()
    assert carried.share == 0
    carried.items = np.zeros(10 * MOST_OF_A_PUMP + 7, carried.items.dtype)
    carried.items["pump"][-7:] = 3
    assert carried.share == MOST_OF_A_PUMP + 7
