"""What is held, and which PUBACKs may go out."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.mqtt.held import LARGEST_BATCH_BYTES, Held
from service.ports import RawMessage, Token

TOPIC = b"pumps/v1/p1/telemetry"


def holding(*packet_ids: int, max_bytes: int = 1000, max_messages: int = 100) -> Held:
    held = Held(max_bytes, max_messages)
    held.began()
    assert held.take([(packet_id, TOPIC, b"%d" % packet_id) for packet_id in packet_ids], 5)
    return held


def test_a_message_is_named_by_its_connection_and_its_packet_id() -> None:
    held = holding(7)
    assert held.drain(10) == [RawMessage(Token(1, 7), TOPIC, b"7", 5)]


def test_pubacks_leave_in_the_order_of_arrival_whatever_the_order_of_settling() -> None:
    held = holding(3, 1, 2)
    third, first, second = [message.token for message in held.drain(10)]
    assert held.settle([second]).packet_ids == []
    assert held.settle([first]).packet_ids == []
    assert held.settle([third]).packet_ids == [3, 1, 2]


def test_a_message_is_settled_once_and_only_after_it_was_drained() -> None:
    held = holding(1)
    not_yet_drained = Token(1, 1)
    assert held.settle([not_yet_drained]).unknown == 1
    [message] = held.drain(10)
    assert held.settle([message.token, message.token]).packet_ids == [1]
    assert held.settle([message.token]) == ([], 0, 1)


def test_a_late_second_settling_does_not_hit_the_message_that_has_the_id_next() -> None:
    held = holding(1)
    [first] = held.drain(10)
    held.settle([first.token])
    held.take([(1, TOPIC, b"the next one")], 6)
    assert held.settle([first.token]) == ([], 0, 1)
    assert held.messages == 1


def test_a_pending_message_that_comes_again_is_counted_and_discarded_until_its_puback_goes_out() -> None:
    held = holding(1, 2)
    drained = held.drain(10)
    held.settle([drained[1].token])  # waits for the first
    assert held.take([(1, TOPIC, b"1"), (2, TOPIC, b"2"), (3, TOPIC, b"3")], 6)
    assert held.redelivered == 2
    assert [message.token.packet_id for message in held.drain(10)] == [3]
    assert held.settle([drained[0].token]).packet_ids == [1, 2]


def test_other_bytes_or_another_topic_under_a_pending_id_are_noticed_and_nothing_after_them_is_taken() -> None:
    for other in [(1, TOPIC, b"other"), (1, b"pumps/v1/p2/telemetry", b"1")]:
        held = holding(1)
        assert not held.take([(2, TOPIC, b"2"), other, (3, TOPIC, b"3")], 6)
        assert [message.token.packet_id for message in held.drain(10)] == [1, 2]


def test_a_connections_tokens_mean_nothing_after_it_ended() -> None:
    held = holding(1, 2)
    tokens = [message.token for message in held.drain(10)]
    held.ended()
    assert held.settle(tokens[:1]) == ([], 1, 0)
    held.began()
    assert held.take([(1, TOPIC, b"new"), (2, TOPIC, b"new")], 6)
    new = [message.token for message in held.drain(10)]
    assert held.settle(tokens) == ([], 2, 0)
    assert held.settle(new).packet_ids == [1, 2]


def test_what_was_queued_when_the_connection_ended_is_still_drained() -> None:
    held = holding(1, 2, 3)
    held.drain(1)
    held.ended()
    assert (held.messages, held.bytes) == (2, 2)
    held.began()
    held.take([(1, TOPIC, b"again")], 6)
    assert [message.token for message in held.drain(10)] == [Token(1, 2), Token(1, 3), Token(2, 1)]
    assert (held.messages, held.bytes) == (1, 5)


def test_a_message_at_qos_0_needs_no_settling() -> None:
    held = holding()
    held.take_loose(TOPIC, b"loose", 6)
    assert (held.messages, held.bytes) == (1, 5)
    [message] = held.drain(10)
    assert (held.messages, held.bytes) == (0, 0)
    assert held.settle([message.token]) == ([], 0, 0)


def test_bounds_are_on_messages_and_on_bytes_and_half_of_them_is_roomy() -> None:
    assert not holding(*range(1, 101)).full
    many = holding(*range(1, 102))
    assert many.full
    many.ended()
    many.drain(50)
    assert not many.full
    assert not many.roomy
    many.drain(1)
    assert many.roomy
    large = holding(1, max_bytes=10)
    large.take([(2, TOPIC, bytes(10))], 6)
    assert large.full


def test_a_batch_is_bounded_in_bytes_and_never_empty() -> None:
    held = holding(max_bytes=10 * LARGEST_BATCH_BYTES)
    third = bytes(LARGEST_BATCH_BYTES // 3)
    held.take([(packet_id, TOPIC, third) for packet_id in range(1, 6)], 6)
    held.take([(6, TOPIC, bytes(LARGEST_BATCH_BYTES + 1))], 6)
    assert [len(held.drain(10)) for _ in range(4)] == [3, 2, 1, 0]


class HeldLife(RuleBasedStateMachine):
    """Any life of an inbox, beside lists that are too plain to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.held = Held(10_000, 1_000)
        self.held.began()
        self.queued: list[RawMessage] = []
        self.drained: list[RawMessage] = []
        self.settled: set[Token] = set()
        self.pending: list[int] = []  # of this connection, as they arrived

    @rule(packet_ids=st.lists(st.integers(1, 20), unique=True))
    def messages_arrive(self, packet_ids: list[int]) -> None:
        assert self.held.take([(packet_id, TOPIC, b"%d" % packet_id) for packet_id in packet_ids], 1)
        for packet_id in packet_ids:
            if packet_id not in self.pending:
                self.pending.append(packet_id)
                token = Token(self.held.connection, packet_id)
                self.settled.discard(token)
                self.queued.append(RawMessage(token, TOPIC, b"%d" % packet_id, 1))

    @rule(count=st.integers(0, 30))
    def some_are_drained(self, count: int) -> None:
        batch = self.held.drain(count)
        assert batch == self.queued[:count]
        del self.queued[:count]
        self.drained += batch

    @precondition(lambda self: self.drained)
    @rule(draw=st.data())
    def some_are_settled(self, draw: st.DataObject) -> None:
        chosen = draw.draw(st.lists(st.sampled_from(self.drained), unique=True))
        for message in chosen:
            self.drained.remove(message)
        tokens = [message.token for message in chosen]
        self.settled |= {token for token in tokens if token.connection == self.held.connection}
        due = 0
        while due < len(self.pending) and Token(self.held.connection, self.pending[due]) in self.settled:
            due += 1
        assert self.held.settle(tokens).packet_ids == self.pending[:due]
        del self.pending[:due]

    @rule()
    def the_connection_is_lost(self) -> None:
        self.held.ended()
        self.held.began()
        self.pending.clear()
        self.settled.clear()

    @invariant()
    def the_counts_are_right(self) -> None:
        stale = [message for message in self.queued if message.token.connection != self.held.connection]
        assert self.held.messages == len(self.pending) + len(stale)
        assert self.held.bytes == sum(len(b"%d" % packet_id) for packet_id in self.pending) + sum(
            len(message.payload) for message in stale
        )
        assert self.held.queued == len(self.queued)
        assert self.held.passed == self.held.arrived - self.held.messages


TestHeldLife = HeldLife.TestCase
TestHeldLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
