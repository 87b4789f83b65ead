"""While the database works on one batch the next is read, as far as there is room, and nothing is lost or reordered."""

import asyncio

import pytest

from service.loops import ahead
from service.loops.ahead import Ahead
from service.ports import RawMessage, Token
from tests.loops.driven import Feed
from tests.patience import until_true

ROW_OF = {b"p1": 0}
PAYLOAD = (
    b'{"boot":1,"seq":%d,"time_ms":[1795348800000],"mode":["running"],"program_ml_d":[0.5],"flow_ml_d":[0.5],'
    b'"reservoir_ml":[18],"battery_v":[2.9],"held_from":[1,0]}'
)


class Broker(Feed):
    """Whose messages arrive while somebody waits for the database."""

    def arrive(self, first: int, count: int) -> None:
        self.queue += [
            RawMessage(Token(1, number), b"pumps/v1/p1/telemetry", PAYLOAD % number, 5)
            for number in range(first, first + count)
        ]

    def drain_ahead(self, max_messages: int) -> list[RawMessage]:
        assert max_messages > 0
        drained, self.queue = self.queue[:max_messages], self.queue[max_messages:]
        return drained


async def test_what_comes_during_a_commit_is_read_by_its_end_and_in_order() -> None:
    broker = Broker()
    reader, answered = Ahead(broker, ROW_OF), asyncio.Event()

    async def commit() -> str:
        broker.arrive(1, 1200)
        await answered.wait()
        return "answer"

    async def answer() -> None:
        await until_true(lambda: not broker.queue and has_read(reader, 1200), "all to be read")
        answered.set()

    answering = asyncio.create_task(answer())
    assert await reader.during(commit()) == "answer"
    await answering
    broker.arrive(1201, 3)
    gathered = await reader.batch(0.0)
    assert [message.token.packet_id for message in gathered.messages] == list(range(1, 1204))
    decoded = gathered.decoded()
    assert (decoded.items["position"] & 0xFFFF).tolist() == list(range(1, 1204))
    assert gathered.took_s > 0
    assert (await reader.batch(0.0)).messages == []


async def test_no_more_is_read_than_makes_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    reader = Ahead(broker, ROW_OF)
    broker.arrive(0, ahead.MESSAGES_A_BATCH + 700)

    async def commit() -> None:
        await until_true(lambda: has_read(reader, ahead.MESSAGES_A_BATCH), "a batch to be read")
        await asyncio.sleep(3 * ahead.LOOK_EVERY_S)

    await reader.during(commit())
    assert len((await reader.batch(0.0)).messages) == ahead.MESSAGES_A_BATCH
    monkeypatch.setattr(ahead, "BYTES_A_BATCH", 10)
    await reader.during(asyncio.sleep(3 * ahead.LOOK_EVERY_S))
    assert len((await reader.batch(0.0)).messages) == 500, "by its bytes it is one already"


async def test_what_the_database_refuses_is_raised_and_what_was_read_stays() -> None:
    broker = Broker()
    reader = Ahead(broker, ROW_OF)

    async def commit() -> None:
        broker.arrive(1, 5)
        await until_true(lambda: has_read(reader, 5), "all to be read")
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError, match="refused"):
        await reader.during(commit())
    assert len((await reader.batch(0.0)).messages) == 5


def has_read(reader: Ahead, count: int) -> bool:
    return len(reader.gathering.messages) >= count
